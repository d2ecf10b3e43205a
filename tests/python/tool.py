#!/usr/bin/env python3
"""Runs slipring.py and consumer.py from a command line. It prints a JSON object a line.

tool.py show NAME                       the queue and its groups
tool.py observe NAME                    the messages from the oldest on, until the queue is closed
tool.py consume NAME GROUP              receives and acks until the queue is closed
        --hold N                        receives N messages, acks none, and leaves when its standard input ends
        --paced                         acks each message when a line comes on standard input
"""

import argparse
import json
import sys

import slipring
from consumer import Consumer, WritableQueue


def tell(what):
    if isinstance(what, slipring.Message):
        what = {**what._asdict(), "payload": what.payload.hex()}
        if what["source"] is None:
            del what["source"]
    print(json.dumps(what), flush=True)


def show(args):
    queue = slipring.Queue(args.queue)
    tell({
        "capacity": queue.capacity, "payload_size": queue.payload_size, "base": queue.base,
        "tail": queue.get(slipring.TAIL), "closed_at": queue.closed_at(), "wake_mode": slipring.WAKE_MODES[queue.wake_mode],
        "schema_name": queue.schema_name, "schema_fields": queue.schema_fields, "schema_hash": queue.schema_hash,
        "groups": queue.groups(),
        "streams": [stream for n in range(queue.streams) if (stream := queue.stream(n + 1))],
    })


def observe(args):
    observer = slipring.Observer(slipring.Queue(args.queue))
    tell({"from": observer.next})
    try:
        while True:
            tell(observer.recv())
    except slipring.Closed:
        tell({"closed": observer.next, "missed": observer.missed})


def consume(args):
    member = Consumer(WritableQueue(args.queue), args.group)
    tell({"joined": member.record})
    try:
        for _ in range(args.hold or 0):
            tell(member.recv())
        if args.hold is not None:
            sys.stdin.read()
        while args.hold is None:
            message = member.recv()
            tell(message)
            if args.paced:
                sys.stdin.readline()
            member.ack(message)
    except slipring.Closed:
        tell({"closed": member.next})
    member.leave()


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("command", choices=("show", "observe", "consume"))
    parser.add_argument("queue")
    parser.add_argument("group", nargs="?", default="")
    parser.add_argument("--hold", type=int)
    parser.add_argument("--paced", action="store_true")
    args = parser.parse_args()
    {"show": show, "observe": observe, "consume": consume}[args.command](args)


if __name__ == "__main__":
    try:
        main()
    except (slipring.Error, OSError) as error:
        sys.exit(f"error: {error}")
