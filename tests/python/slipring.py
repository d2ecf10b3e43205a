"""A reader of slipring queues, written from docs/layout.md with only the standard library. consumer.py adds a consumer.

Memory order. It runs on x86-64 and refuses other machines. The layout asks for atomic words, acquire loads, release
stores and, of those who take part, full fences.
- A memoryview of format Q or I copies an item by one memcpy of 8 or 4 bytes, which is one move, and an aligned move is
  atomic. (struct's "<Q" copies byte by byte, which is not.)
- x86-64 keeps loads in their order, stores in theirs, and a store after earlier loads. The interpreter makes each access
  in a call of its own, which no compiler moves. So each load is an acquire load and each store a release store.
- Only a store and a later load of another word can change places. Where the layout asks for a full fence, consumer.py
  has the kernel make one.
The GIL orders nothing between processes, and nothing here relies on it.
"""

import fcntl
import mmap
import os
import platform
import re
import stat
import struct
import time
from collections import namedtuple

TAIL, GROUP_MARK, RECORD_MARK, STATE, CLOSED_AT = 2048, 2560, 2568, 2832, 2840
GROUPS, GROUP, RECORD = 3200, 768, 256
# Within a group record, and within a consumer record.
G_STATE, G_GENERATION, G_TRAITS, G_BEGAN, G_NAME, G_DEAD, G_HEAD, G_TOTALS = 0, 8, 16, 56, 64, 128, 384, 640
R_START, R_END, R_PID, R_COUNTERS = 0, 8, 24, 128
COUNTERS = 0, 8, 16  # acked, redelivered, dead-lettered: of a consumer, and the totals of a group
ACTIVE, IDLE = 2, 0
FEATURES = {0: "messages in flight beside the ring", 2: "times of publication"}
# The feature bit that this module knows, and the bytes of an entry of the table of streams.
SOURCES, STREAM = 1 << 1, 64
MODES, RETENTIONS, WAKE_MODES = ("exclusive", "shared"), ("hold", "release"), ("none", "membarrier", "fence")
NAME = re.compile(rb"[A-Za-z0-9._-]{1,200}")

# The source is an id, as 32 hexadecimal digits, and a position; `None` where the sender did not say.
Message = namedtuple("Message", "sequence kind attempts payload source")


class Error(Exception):
    """The text says what is wrong, and with which queue."""


class Closed(Error):
    """The queue is closed, and everything was read."""


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def round_up(n, multiple):
    return -(-n // multiple) * multiple


def flock(kind, byte):
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, byte, 1, 0)


class Queue:
    """A queue that was opened and checked: to look at it, or with `write` to take part."""

    def __init__(self, name, write=False, allow_uids=()):
        if platform.machine() != "x86_64":
            raise Error(f"this module relies on the memory order of x86-64, and this machine is {platform.machine()}")
        if not NAME.fullmatch(name.encode()):
            raise Error(f"{name!r} is no queue's name: that is 1 to 200 characters of A-Z a-z 0-9 . _ -")
        self.name = name
        flags = (os.O_RDWR if write else os.O_RDONLY) | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            self.fd = os.open(f"/dev/shm/slipring.{name}", flags)
        except FileNotFoundError:
            raise Error(f'there is no queue "{name}"') from None
        try:
            about = os.fstat(self.fd)
            if not stat.S_ISREG(about.st_mode):
                self.refuse("is not a regular file")
            if about.st_uid not in (os.geteuid(), *allow_uids):
                self.refuse(f"belongs to user {about.st_uid}: allow that user, if you trust it")
            self.read_config(os.pread(self.fd, 2048, 0), about.st_size)
            self.bytes = mmap.mmap(self.fd, self.total, access=mmap.ACCESS_WRITE if write else mmap.ACCESS_READ)
        except BaseException:
            os.close(self.fd)
            raise
        self.words, self.halves = memoryview(self.bytes).cast("Q"), memoryview(self.bytes).cast("I")

    def refuse(self, why):
        raise Error(f'queue "{self.name}" {why}')

    def read_config(self, config, size):
        """Checks a private copy, in the order of the layout. Nothing reads the shared config after this."""
        def check(good, what):
            if not good:
                self.refuse(f"is damaged: its {what} cannot be")

        if config[:8] != b"slipring":
            self.refuse("is no queue: its magic is another")
        if len(config) < 2048:
            self.refuse(f"is truncated: its file has {size} bytes, and a config takes 2048")
        version, slot_format, must, _may_ignore = struct.unpack_from("<IIQQ", config, 8)
        if version != 1:
            self.refuse(f"has layout version {version}, and this module knows version 1")
        check(struct.unpack_from("<Q", config, 2040)[0] == fnv1a(config[:2040]), "checksum")
        unknown = [f"{bit} ({FEATURES.get(bit, 'unknown')})" for bit in range(64) if must & ~SOURCES & 1 << bit]
        if unknown:
            self.refuse(f"needs features that this module does not know: bit {', bit '.join(unknown)}")
        if slot_format != 0:
            self.refuse(f"has slot format {slot_format}, and this module knows format 0")
        (self.capacity, self.payload_size, payload_offset, self.stride, self.max_groups, self.max_records, self.base,
         control, groups, self.records, self.slots, self.total, self.wake_mode, name_length, schema_length,
         fields_length, self.schema_hash, fingerprint) = struct.unpack_from("<4Q2I6Q4I2Q", config, 32)
        if self.wake_mode >= len(WAKE_MODES):
            self.refuse(f"has wake mode {self.wake_mode}, which this module does not know")
        check(1 <= self.capacity <= 2**24 and self.capacity & (self.capacity - 1) == 0, "capacity")
        check(1 <= self.payload_size <= 2**24 + 512, "payload size")
        self.streams, self.streams_at = struct.unpack_from("<2Q", config, 976)
        check(self.streams <= 127 and (self.streams > 0) == bool(must & SOURCES), "number of streams")
        slot = round_up(16 + self.payload_size, 8) + (16 if self.streams else 0)
        check(payload_offset == 16 and self.stride == round_up(slot, 64), "payload offset or stride")
        check(1 <= self.max_groups <= 63 and 1 <= self.max_records <= 255, "number of group or consumer records")
        check(self.base <= 2**56 - 2, "base")
        check(control == TAIL and groups == GROUPS and self.records == GROUPS + GROUP * self.max_groups, "tables' offsets")
        tables = round_up(self.records + RECORD * self.max_records, 128)
        check(self.streams_at == (tables if self.streams else 0), "stream table's offset")
        check(self.slots == round_up(tables + STREAM * self.streams, 128), "slots' offset")
        check(self.total == round_up(self.slots + self.stride * self.capacity, 128), "total size")
        check(not any(config[952:976]), "reserved words")
        check(fingerprint == fnv1a(config[8:24] + config[32:124] + config[136:144] + config[952:992]), "fingerprint")
        check(name_length <= 200 and NAME.fullmatch(config[176:176 + name_length]), "name")
        check(schema_length <= 128 and fields_length <= 448, "schema")
        self.schema_name = config[376:376 + schema_length].decode(errors="replace")
        self.schema_fields = config[504:504 + fields_length].decode(errors="replace")
        if size != self.total:
            self.refuse(f"is truncated or too long: its file has {size} bytes, and its config says {self.total}")

    def get(self, at):
        return self.words[at // 8]

    def group_at(self, index):
        return GROUPS + GROUP * index

    def record_at(self, index):
        return self.records + RECORD * index

    def slot_at(self, sequence):
        return self.slots + self.stride * (sequence & (self.capacity - 1))

    def used_groups(self):
        return range(min(self.get(GROUP_MARK), self.max_groups))

    def used_records(self):
        return range(min(self.get(RECORD_MARK), self.max_records))

    def start(self, record):
        """Of a consumer record: sequence, group, state."""
        word = self.get(self.record_at(record) + R_START)
        return word >> 8, word >> 2 & 63, word & 3

    def records_of(self, group):
        return [record for record in self.used_records() if self.start(record)[1] == group]

    def is_held(self, byte):
        """Whether a description other than the mapped one, which holds none, has the lease."""
        lock = fcntl.fcntl(self.fd, fcntl.F_OFD_GETLK, flock(fcntl.F_WRLCK, byte))
        return struct.unpack_from("h", lock)[0] != fcntl.F_UNLCK

    def closed_at(self):
        return self.get(CLOSED_AT) if self.get(STATE) == 1 else None

    def check_name(self):
        if os.fstat(self.fd).st_nlink == 0:
            self.refuse("was removed")

    def group(self, index):
        """What the record says of an active group; None of another."""
        at = self.group_at(index)
        for _ in range(1000):
            generation = self.get(at + G_GENERATION)
            if self.get(at + G_STATE) != ACTIVE:
                return None
            traits, dead_length = self.get(at + G_TRAITS), min(self.get(at + G_DEAD), 200)
            mode, retention, name_length, limit = traits.to_bytes(8, "little")[:4]
            name = self.bytes[at + G_NAME:at + G_NAME + min(name_length, 64)].decode(errors="replace")
            dead = self.bytes[at + G_DEAD + 8:at + G_DEAD + 8 + dead_length].decode(errors="replace")
            head, tail, records = self.get(at + G_HEAD) >> 8, self.get(TAIL), self.records_of(index)
            held = [(self.start(r)[0], self.get(self.record_at(r) + R_END)) for r in records if self.start(r)[2] != IDLE]
            counters = [[self.get(self.record_at(r) + R_COUNTERS + n) for r in records] for n in COUNTERS]
            acked, redelivered, letters = [self.get(at + G_TOTALS + n) + sum(own) for n, own in zip(COUNTERS, counters)]
            found = {
                "index": index, "name": name, "began": self.get(at + G_BEGAN), "head": head,
                "mode": MODES[mode] if mode < len(MODES) else "unknown", "retention": RETENTIONS[retention == 1],
                "max_attempts": None if limit in (0, 255) else limit, "dead_letters": dead or None,
                "depth": max(tail - head, 0) + sum(max(end - start, 0) for start, end in held),
                "span": max(tail - min([head] + [start for start, _ in held]), 0),
                "acked": acked, "redelivered": redelivered, "dead_lettered": letters,
                "members": [{"record": r, "pid": self.get(self.record_at(r) + R_PID), "live": self.is_held(r)}
                            for r in records],
            }
            if generation % 2 == 0 and self.get(at + G_GENERATION) == generation:
                return found
        self.refuse(f"is damaged: group record {index} is always being changed")

    def groups(self):
        return [found for index in self.used_groups() if (found := self.group(index))]

    def message(self, sequence, attempts):
        """A copy, for the caller to believe or not; `None` where the length cannot be."""
        at, meta = self.slot_at(sequence), self.get(self.slot_at(sequence) + 8)
        length = meta & 0x1FFFFFF
        if length > self.payload_size:
            return None
        return Message(sequence, meta >> 32, attempts, self.bytes[at + 16:at + 16 + length], self.source(at, meta >> 25 & 127))

    def stream(self, number):
        """What the table says of a stream in use; `None` of a free entry."""
        at = self.streams_at + STREAM * (number - 1)
        for _ in range(64):
            state = self.get(at + 32)
            if state % 2 == 0:
                return None
            found = {
                "id": self.bytes[at:at + 16][::-1].hex(),
                "label": self.bytes[at + 40:at + 64].rstrip(b"\0").decode(errors="replace"),
                "last": self.get(at + 16), "start": self.get(at + 24),
            }
            if self.get(at + 32) == state:
                return found
        return None

    def source(self, at, number):
        """Where the message in the slot at `at` comes from, whose meta word has the number of a stream."""
        stream = self.stream(number) if 1 <= number <= self.streams else None
        return stream and (stream["id"], self.get(at + round_up(16 + self.payload_size, 8)))

    def look(self, sequence):
        """What an observer finds: a message, "gone" or "to come". Only this knows how an overwritten slot shows."""
        stamp_at = self.slot_at(sequence)
        stamp = self.get(stamp_at)
        if stamp <= sequence and self.get(TAIL) <= sequence:
            return "to come"
        if stamp > sequence + 1 or self.get(stamp_at) != sequence + 1:
            return "gone"
        message = self.message(sequence, None)
        if self.get(stamp_at) != sequence + 1:
            return "gone"
        return message or self.refuse(f"is damaged: message {sequence} is longer than a slot")


class Observer:
    """Reads without taking part. `missed` counts messages that were overwritten before it came to them."""

    def __init__(self, queue):
        self.queue, self.missed, self.step = queue, 0, 1
        self.next = max(queue.base, queue.get(TAIL) - queue.capacity)

    def recv(self):
        while True:
            closed, found = self.queue.closed_at(), self.queue.look(self.next)
            if isinstance(found, Message):
                self.next, self.step = self.next + 1, 1
                return found
            if found == "gone":
                # Steps grow up to the tail: a producer may overwrite each slot just before this comes to it.
                tail = self.queue.get(TAIL)
                to = max(self.next + 1, tail - self.queue.capacity, min(self.next + self.step, tail))
                self.missed, self.next, self.step = self.missed + to - self.next, to, 2 * self.step
            elif closed is not None and self.next >= closed:
                raise Closed(f'queue "{self.queue.name}" is closed')
            else:
                self.queue.check_name()
                time.sleep(0.001)
