"""Sends a message to the queue "hello" of the RabbitMQ on this host."""

import pika

connection = pika.BlockingConnection(pika.ConnectionParameters("localhost"))
channel = connection.channel()
channel.queue_declare(queue="hello", durable=True, arguments={"x-queue-type": "quorum"})
channel.basic_publish(exchange="", routing_key="hello", body="Hello World!")
print("sent 'Hello World!'")
connection.close()
