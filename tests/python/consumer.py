"""An exclusive consumer of slipring queues, written from docs/layout.md with only the standard library.

On memory order see slipring.py. Python has neither atomic exchanges nor fences, so the kernel makes them: FUTEX_WAKE_OP
changes a word by a locked instruction, which is a full fence on x86-64. It costs a system call, where a language with
atomic operations needs none.
"""

import ctypes
import fcntl
import os
import struct
import time
from contextlib import contextmanager

from slipring import (
    COUNTERS, G_HEAD, G_STATE, G_TOTALS, IDLE, RECORD_MARK, R_COUNTERS, R_PID, R_START,
    Closed, Error, Queue, flock,
)

DATA_WORD, ROOM_WORD, THRESHOLD, HOLDER = 2304, 2432, 2440, 2688
G_FLAGS, G_RETRIES, G_DELIVERED, G_ATTEMPTS, G_WAIT = 24, 32, 512, 520, 664
R_ATTEMPTS, R_EPOCH = 16, 32
MAKING, NOBODY, NO_GROUP, ALL_ONES, CONTROL_LEASE = 1, 255, 63, 2**64 - 1, 513
# Numbers of x86-64: futex(2) and its operations, membarrier(2) and its commands.
FUTEX, FUTEX_WAIT, FUTEX_WAKE_OP, ADD, OR, AND_NOT = 202, 0, 5, 1, 2, 3
MEMBARRIER, GLOBAL_EXPEDITED, REGISTER_GLOBAL_EXPEDITED = 324, 2, 4

CALL = ctypes.CDLL(None, use_errno=True).syscall
CALL.restype = ctypes.c_long
OWN_WORD = ctypes.c_uint32(0)  # a word that nobody else sees
OWN = ctypes.addressof(OWN_WORD)


def system_call(number, *args):
    return CALL(number, *(ctypes.c_void_p(arg) if isinstance(arg, int) else arg for arg in args))


def change(address, operation, argument, wake=False):
    """Changes the word in one atomic step, which is a full fence; then, if `wake`, wakes all that sleep at it."""
    # It would also wake one at the second word, had that been -2048 before.
    first, count = (address, 2**31 - 1) if wake else (OWN, 1)
    if system_call(FUTEX, first, FUTEX_WAKE_OP, count, 1, address, operation << 28 | argument << 12 | 0x800) < 0:
        raise OSError(ctypes.get_errno(), "futex(2) refuses FUTEX_WAKE_OP")


def fence():
    change(OWN, OR, 0)


def membarrier(command):
    if system_call(MEMBARRIER, command, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "membarrier(2), which the queue's wake mode needs, is refused")


class WritableQueue(Queue):
    """A queue to take part in."""

    def __init__(self, name, allow_uids=()):
        super().__init__(name, write=True, allow_uids=allow_uids)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.bytes))
        if self.wake_mode == 1:
            membarrier(REGISTER_GLOBAL_EXPEDITED)

    def put(self, at, word):
        self.words[at // 8] = word % 2**64

    def add(self, at, n):
        """For a word that only the caller stores."""
        self.put(at, self.get(at) + n)

    def gate(self):
        """The lowest sequence that some group has not acked; without groups None."""
        groups = [g for g in self.used_groups() if self.get(self.group_at(g) + G_STATE) != 0]
        heads = [self.get(self.group_at(g) + G_HEAD) >> 8 for g in groups]
        starts = [self.start(record) for record in self.used_records()]
        return min(heads + [seq for seq, group, state in starts if state != IDLE and group in groups], default=None)

    def wake_producer(self):
        """After each store that makes room."""
        if self.wake_mode == 2:
            fence()
        if self.wake_mode == 0 or self.halves[ROOM_WORD // 4] & 1 == 0:
            return
        fence()
        gate = self.gate()
        if gate is None or gate >= self.get(THRESHOLD):
            # Two steps in place of one exchange. The first makes the exchanges of others fail. The second wakes all, and
            # a producer that sets the bit between them is woken, or finds the word changed.
            change(self.address + ROOM_WORD, ADD, 4)
            change(self.address + ROOM_WORD, AND_NOT, 1, wake=True)

    def sleep(self, wait_at, done, seconds):
        """Until the producer publishes or closes, or for a time. `done`, which looks, says whether that is too late."""
        if self.wake_mode == 0:
            return time.sleep(min(seconds, 0.001))
        change(self.address + wait_at, OR, 1)
        value = self.halves[wait_at // 4]
        if value & 1:  # else somebody has woken already
            change(self.address + DATA_WORD, OR, 1)
            if self.wake_mode == 1:
                membarrier(GLOBAL_EXPEDITED)
            if not done():
                timeout = struct.pack("qq", 0, int(min(seconds, 0.1) * 1e9))
                system_call(FUTEX, self.address + wait_at, FUTEX_WAIT, value, timeout, 0, 0)


class Consumer:
    """The consumer of an exclusive group. It can ack messages, but not send dead letters."""

    def __init__(self, queue, group):
        self.queue = queue
        # A description of its own, which is not mapped: a mapping keeps the locks of its description.
        self.fd = os.open(f"/proc/self/fd/{queue.fd}", os.O_RDWR | os.O_CLOEXEC)
        try:
            with self.control():
                self.join(group)
        except BaseException:
            os.close(self.fd)
            raise
        self.head = self.next = queue.get(self.at + G_HEAD) >> 8

    def lease(self, byte, kind=fcntl.F_WRLCK):
        """Takes a lease or gives it back. False: it is held through another description."""
        try:
            fcntl.fcntl(self.fd, fcntl.F_OFD_SETLK, flock(kind, byte))
            return True
        except (BlockingIOError, PermissionError):
            return False

    @contextmanager
    def control(self, seconds=10):
        """Holds the control lease; frees groups first whose makers died."""
        queue, until = self.queue, time.monotonic() + seconds
        while not self.lease(CONTROL_LEASE):
            if time.monotonic() > until:
                queue.refuse(f"is in a control operation of process {queue.get(HOLDER)}, which does not end")
            time.sleep(0.0001)
        try:
            queue.put(HOLDER, os.getpid())
            queue.check_name()
            for index in queue.used_groups():
                if queue.get(queue.group_at(index) + G_STATE) == MAKING:
                    self.free_group(index)
            yield
        finally:
            queue.put(HOLDER, 0)
            self.lease(CONTROL_LEASE, fcntl.F_UNLCK)

    def free_group(self, index):
        """Unless a member lives."""
        queue, records = self.queue, self.queue.records_of(index)
        taken = [record for record in records if self.lease(record)]
        if taken == records:
            queue.put(queue.group_at(index) + G_STATE, MAKING)
            for record in records:
                self.untag(record)
            queue.put(queue.group_at(index) + G_STATE, 0)
            queue.wake_producer()
        for record in taken:
            self.lease(record, fcntl.F_UNLCK)

    def untag(self, record):
        sequence, _group, _state = self.queue.start(record)
        self.queue.put(self.queue.record_at(record) + R_START, sequence << 8 | NO_GROUP << 2 | IDLE)

    def fold_counters(self, record):
        """Into the totals of the group that the record names."""
        own, group = self.queue.record_at(record) + R_COUNTERS, self.queue.start(record)[1]
        for counter in COUNTERS:
            if group < self.queue.max_groups:
                self.queue.add(self.queue.group_at(group) + G_TOTALS + counter, self.queue.get(own + counter))
            self.queue.put(own + counter, 0)

    def take_record(self, record):
        idle = lambda: self.queue.start(record)[2] == IDLE
        if not idle() or not self.lease(record):
            return False
        # Read again under the lease: its last owner is done then.
        return idle() or not self.lease(record, fcntl.F_UNLCK)

    def join(self, name):
        queue = self.queue
        group = next((group for group in queue.groups() if group["name"] == name), None)
        if group is None:
            queue.refuse(f'has no group "{name}"')
        if group["mode"] != "exclusive":
            queue.refuse(f'has a group "{name}" whose mode is {group["mode"]}, and this consumer is for exclusive groups')
        for member in group["members"]:
            if member["live"]:
                queue.refuse(f'has a consumer in its exclusive group "{name}" already: process {member["pid"]}')
        self.limit, self.at = group["max_attempts"], queue.group_at(group["index"])
        self.index, self.release = group["index"], group["retention"] == "release"
        self.record = next(filter(self.take_record, range(queue.max_records)), None)
        if self.record is None:
            queue.refuse("has no consumer record that is free")
        record = queue.record_at(self.record)
        self.fold_counters(self.record)
        queue.put(record + R_PID, os.getpid())
        queue.add(record + R_EPOCH, 1)
        queue.put(self.at + G_FLAGS, queue.get(self.at + G_FLAGS) | 1)
        queue.put(RECORD_MARK, max(queue.get(RECORD_MARK), self.record + 1))
        queue.put(record + R_ATTEMPTS, ALL_ONES)
        queue.put(record + R_START, self.index << 2 | IDLE)
        self.acked, self.redelivered = record + R_COUNTERS, record + R_COUNTERS + 8

    def leave(self):
        """Gives the role back. What was not acked comes again, to the next consumer."""
        with self.control():
            self.fold_counters(self.record)
            self.untag(self.record)
            self.lease(self.record, fcntl.F_UNLCK)
            if self.release:
                self.free_group(self.index)
        os.close(self.fd)

    def is_published(self):
        stamp = self.queue.get(self.queue.slot_at(self.next))
        if stamp > self.next + 1:
            self.queue.refuse(f"is damaged: message {self.next} was overwritten before its ack")
        return stamp == self.next + 1

    def count(self, sequence):
        """Notes this delivery before the message is handed out; returns its number."""
        if sequence >= self.queue.get(self.at + G_DELIVERED):
            self.queue.put(self.at + G_DELIVERED, sequence + 1)
            return 1
        attempts = 2  # or more: what comes again in a batch has no count of its own
        if sequence == self.head:
            word = self.queue.get(self.at + G_ATTEMPTS)
            attempts = min((word & 255 if word >> 8 == sequence else 1) + 1, 255)
            if self.limit and attempts > self.limit:
                self.queue.refuse(f"gives message {sequence} up, and this consumer cannot make a dead letter of it")
            self.queue.put(self.at + G_ATTEMPTS, sequence << 8 | attempts)
        self.queue.add(self.redelivered, 1)
        return attempts

    def recv(self, timeout=float("inf")):
        """The next message, or None if none comes in so many seconds."""
        if self.limit and self.next != self.head:
            raise Error("ack the last message first: this group has a limit of attempts, and counts one at a time")
        until = time.monotonic() + timeout
        while not self.is_published():
            closed = self.queue.closed_at()
            if closed is not None and self.next >= closed:
                more = " but for letters that were sent again" if self.queue.get(self.at + G_RETRIES) == 1 else ""
                raise Closed(f'queue "{self.queue.name}" is closed, and the group has received all{more}')
            self.queue.check_name()
            if (left := until - time.monotonic()) <= 0:
                return None
            self.queue.sleep(self.at + G_WAIT, lambda: self.is_published() or self.queue.closed_at() is not None, left)
        self.next += 1
        message = self.queue.message(self.next - 1, self.count(self.next - 1))
        return message or self.queue.refuse(f"is damaged: message {self.next - 1} is longer than a slot")

    def ack(self, message):
        """Of this message and of all before it."""
        to = message.sequence + 1
        if self.head < to <= self.next:
            self.queue.add(self.acked, to - self.head)
            self.head = to
            self.queue.put(self.at + G_HEAD, to << 8 | NOBODY)
            self.queue.wake_producer()
