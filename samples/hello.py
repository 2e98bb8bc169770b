"""Two peers in one program, one message: python samples/hello.py"""

import cicada

with cicada.SwarmPeer() as a, cicada.SwarmPeer() as b:
    a.bind()  # 127.0.0.1, a free port
    b.bind()
    b.connect(a.listener)  # returns when b is in a's ring
    receipt = a.send(b, "hello!")  # a peer, a (host, port), or a place on the ring
    print(receipt.result(timeout=5).status)
    print(b.recv(timeout=5).data)
