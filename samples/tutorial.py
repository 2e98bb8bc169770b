"""The tutorial of the first Cicada, with bytes where it had str: python samples/tutorial.py

Ports 5000 and 5001 of 127.0.0.1 have to be free.
"""

from cicada import SwarmPeer

first, second = SwarmPeer(), SwarmPeer()
first.bind("127.0.0.1", 5000)
second.bind("127.0.0.1", 5001)
second.connect(*first.listener)

first.send(second.listener, "hello!")
src, data, _ = second.recv()
print(data)

second.send(src, data[::-1])
src, data, _ = first.recv()
print(data)

first.close()
second.close()
