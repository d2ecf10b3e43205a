"""A second opinion on what the bridge writes and reads: pika. One JSON object a line, bytes as hex.

peer.py PORT read QUEUE COUNT     prints messages
peer.py PORT write QUEUE          publishes the messages of its input
"""

import datetime
import json
import sys

import pika


def to_json(value):
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, datetime.datetime):
        return {"time": int(value.replace(tzinfo=datetime.timezone.utc).timestamp())}
    raise TypeError(value)


def from_json(value):
    if set(value) == {"hex"}:
        return bytes.fromhex(value["hex"])
    if set(value) == {"time"}:
        return datetime.datetime.fromtimestamp(value["time"], datetime.timezone.utc).replace(tzinfo=None)
    return value


def main(port, command, queue, count="0"):
    connection = pika.BlockingConnection(pika.ConnectionParameters("localhost", int(port)))
    channel = connection.channel()
    if command == "read":
        left = int(count)
        for method, properties, body in channel.consume(queue, inactivity_timeout=30):
            if method is None:
                sys.exit("nothing came for 30 s")
            known = {name: value for name, value in vars(properties).items() if value is not None}
            print(json.dumps({"body": body, "properties": known}, default=to_json))
            channel.basic_ack(method.delivery_tag)
            left -= 1
            if left == 0:
                break
    else:
        channel.confirm_delivery()
        for line in sys.stdin:
            message = json.loads(line, object_hook=from_json)
            properties = pika.BasicProperties(**message["properties"])
            channel.basic_publish("", queue, message["body"], properties, mandatory=True)
    connection.close()


main(*sys.argv[1:])
