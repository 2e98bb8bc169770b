"""Watch a swarm with nothing but ZeroMQ and MessagePack, as any language can: python samples/watch_raw.py runs/latest"""

import json
import sys
import uuid
from pathlib import Path

import msgpack
import zmq

run = json.loads(Path(sys.argv[1], "run.json").read_text())
mark = f"watcher.{uuid.uuid4()}"
events: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
events.connect(run["events"])
for topic in ("", mark):  # "" is everything; "ring." a family, "run.PeerStarted" one kind
    events.subscribe(topic)
question: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.REQ)
question.connect(run["snapshots"])
question.send(msgpack.packb({"heard": mark}))  # wait until this subscription has reached everybody
snapshot = msgpack.unpackb(question.recv())
for envelope in snapshot["events"]:
    print("is ", envelope["source"], envelope["peer"], envelope["event"], flush=True)
while True:
    for body in events.recv_multipart()[1:]:  # the first frame is the topic
        envelope = msgpack.unpackb(body)
        source, kind = envelope["source"], envelope["event"]["event"]
        if envelope["sequence"] > snapshot["sequences"].get(source, {}).get(kind, 0):
            print("now", source, envelope["peer"], envelope["event"], flush=True)
