"""Prints the messages of the queue "hello" of the RabbitMQ on this host, until Ctrl-C."""

import pika


def callback(channel, method, properties, body):
    print("received", body.decode())


connection = pika.BlockingConnection(pika.ConnectionParameters("localhost"))
channel = connection.channel()
channel.queue_declare(queue="hello", durable=True, arguments={"x-queue-type": "quorum"})
channel.basic_consume(queue="hello", on_message_callback=callback, auto_ack=True)
try:
    channel.start_consuming()
except KeyboardInterrupt:
    connection.close()
