//! The table of codes. docs/errors.md has the same one; tests/codes.rs writes it there.

use std::fmt;

macro_rules! codes {
    ($($code:ident = $number:literal $name:literal: $meaning:literal, $remedy:literal;)*) => {
        /// The kind of an error, as a number and a name that never change: for programs in other languages, for logs,
        /// and for code that handles several error types alike. Each error of this crate has one: `code()`.
        ///
        /// A code that a later version adds has a new number. No code has the number 0, which stays free for "no
        /// error". The numbers are grouped by acts: 1 to 99 for errors of several acts, then a hundred for each act.
        ///
        /// ```
        /// use slipring::{ErrorCode, Queue};
        /// let fault = Queue::open("there-is-none").unwrap_err();
        /// assert_eq!(fault.code(), ErrorCode::NoSuchQueue);
        /// assert_eq!((fault.code().number(), fault.code().name()), (200, "no-such-queue"));
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(u16)]
        pub enum ErrorCode {
            $(#[doc = $meaning] $code = $number,)*
        }

        impl ErrorCode {
            /// All codes of this version, by their numbers.
            pub fn all() -> impl Iterator<Item = ErrorCode> {
                [$(ErrorCode::$code),*].into_iter()
            }

            /// Its number, which never changes.
            pub fn number(self) -> u16 {
                self as u16
            }

            /// Its name, of small letters and hyphens, which never changes.
            pub fn name(self) -> &'static str {
                match self {
                    $(ErrorCode::$code => $name,)*
                }
            }

            /// What it means, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(ErrorCode::$code => $meaning,)*
                }
            }

            /// What to do about it, in a sentence. The error's own text says it with the names and figures.
            pub fn remedy(self) -> &'static str {
                match self {
                    $(ErrorCode::$code => $remedy,)*
                }
            }
        }
    };
}

codes! {
    // Errors of several acts.
    System = 1 "system":
        "The operating system refused a call.",
        "Read its text for the call and the reason; SystemError::io_error has the errno.";
    BadName = 2 "bad-name":
        "A queue or a group cannot have this name.",
        "Use 1 to 200 (a group: 1 to 64) of the characters A-Z a-z 0-9 . _ -.";
    Removed = 3 "removed":
        "The queue has lost its name: it was removed while the handle was attached.",
        "Open the queue again by its name.";
    Forked = 4 "forked":
        "The handle was made before a fork, and belongs to the process that forked.",
        "Open the queue again in this process.";
    Damaged = 5 "damaged":
        "The segment contradicts itself.",
        "Remove the queue and create it again; look for a process that writes where it should not.";
    ControlTimeout = 6 "control-timeout":
        "Another process holds the control lease for longer than the control timeout.",
        "Continue that process if it is stopped (SIGCONT) or kill it, then try again.";
    Interrupted = 7 "interrupted":
        "The program's own function (set_interrupt) ended a wait.",
        "Stop, or call again: nothing was received or sent, and no message is lost.";
    // Creating a queue.
    QueueExists = 100 "queue-exists":
        "A queue of that name exists already.",
        "Open it (open_or_create does either), or remove it first.";
    BadShape = 101 "bad-shape":
        "A property asked of the new queue is out of range: a size, the permissions or the schema's name.",
        "Read its text for the range.";
    NoMemory = 102 "no-memory":
        "There is not enough memory for the queue.",
        "Lower the capacity or the payload size, or free memory.";
    FileSizeLimit = 103 "file-size-limit":
        "The process may not make a file as large as the queue.",
        "Raise RLIMIT_FSIZE (ulimit -f), or lower the capacity or the payload size.";
    // Opening a queue.
    NoSuchQueue = 200 "no-such-queue":
        "There is no queue of that name.",
        "Create the queue first, or check its name.";
    NotAQueue = 201 "not-a-queue":
        "The name belongs to a file that is not a queue.",
        "Choose another name.";
    WrongVersion = 202 "wrong-version":
        "The queue has another layout version.",
        "Use programs that were built with the same slipring, or remove the queue and create it again.";
    Unsupported = 203 "unsupported":
        "The queue, or a group of it, uses something that this version does not know.",
        "Use a newer slipring.";
    WrongSchema = 204 "wrong-schema":
        "The queue holds another type of message.",
        "Build both sides from the same message, or use another queue.";
    ForeignOwner = 205 "foreign-owner":
        "The queue belongs to another user.",
        "Allow that user when opening, if you trust it.";
    UnknownOwner = 206 "unknown-owner":
        "This user namespace does not map the queue's owner, which so could be any user.",
        "Use the queue from a namespace that maps its owner.";
    // Removing a queue.
    QueueInUse = 300 "queue-in-use":
        "Processes have roles in the queue.",
        "End them, or remove the queue by force.";
    QueueUnacked = 301 "queue-unacked":
        "The queue holds messages that groups have not acked.",
        "Let the groups receive them, or remove the queue by force.";
    QueueUnreadable = 302 "queue-unreadable":
        "The queue cannot be opened, so whether it is in use is not known. The code of its reason says why.",
        "Remove it by force, if it is yours.";
    // Taking the producer's role.
    ProducerTaken = 400 "producer-taken":
        "The queue has its one producer already.",
        "Wait until that one is done, for example with producer_timeout.";
    // Sending.
    Full = 500 "full":
        "The queue has no room, because a group has not acked its oldest messages.",
        "Try again later, or wait for room; the error names the group and its consumers.";
    SendTimeout = 501 "send-timeout":
        "There was no room within the time given.",
        "Try again later, or wait longer; the error names the group and its consumers.";
    TooLong = 502 "too-long":
        "The message does not fit a slot.",
        "Split it, or create the queue with a larger payload size.";
    WrongLength = 503 "wrong-length":
        "The queue holds messages of one size, and this one has another.",
        "Send a message of the queue's type.";
    TooManyAtOnce = 504 "too-many-at-once":
        "More messages at once than the ring has slots.",
        "Send fewer at once.";
    Exhausted = 505 "exhausted":
        "The queue has used up its sequence numbers.",
        "Create a new queue.";
    // Sources of messages.
    NoSources = 550 "no-sources":
        "Messages of the queue do not say where they come from.",
        "Create the queue with sources.";
    TooManyStreams = 551 "too-many-streams":
        "The queue's table of streams is full.",
        "Forget a stream of which no message is in the ring or in flight, or create the queue with more.";
    NotRising = 552 "not-rising":
        "The position of a message is not above the one before it in its stream.",
        "Give positions that rise strictly, from 1 on.";
    StreamInRing = 553 "stream-in-ring":
        "Messages of the stream are still in the ring, or in flight.",
        "Forget the stream once as many messages as the ring has slots have been sent after them, and none of them is in flight.";
    NoStage = 554 "no-stage":
        "A stage cannot read this group, or not send to this queue.",
        "Use an exclusive group without a limit of attempts, and another queue to send to.";
    MapFailed = 555 "map-failed":
        "The map of a stage returned an error, or dead letters were sent again to its group when that was shared.",
        "Remove the cause; the message is not acked, and is mapped again.";
    BadOutputs = 556 "bad-outputs":
        "A message has more than 256 outputs, or fewer than a stage has sent of it already.",
        "Give at most 256 outputs, and for the same message the same ones again.";
    // Joining a group.
    ConsumerTaken = 600 "consumer-taken":
        "The group has its one consumer already.",
        "Use another group or a shared one, or end that consumer first.";
    WrongMode = 601 "wrong-mode":
        "The group is shared and not exclusive, or the other way round; or it has messages in flight and was joined without.",
        "Join it in its own mode, or use another group.";
    TooManyConsumers = 602 "too-many-consumers":
        "All consumer records of the queue are in use.",
        "Stop a consumer, or create the queue with more records.";
    NoHostClock = 603 "no-host-clock":
        "The group has an ack timeout, and how this process's clock differs from the host's is not known.",
        "Mount /proc, and start the process in the time namespace of its children.";
    // Making and removing groups.
    GroupExists = 700 "group-exists":
        "A group of that name exists already, or is declared twice.",
        "Join it, or choose another name.";
    NoSuchGroup = 701 "no-such-group":
        "The queue has no group of that name.",
        "Add the group, or check its name.";
    TooManyGroups = 702 "too-many-groups":
        "All group records of the queue are in use.",
        "Remove a group, or create the queue with more records.";
    NotPublished = 703 "not-published":
        "A group cannot start at a message that is not published yet.",
        "Choose a sequence up to the next to be published.";
    DeadLetterLoop = 704 "dead-letter-loop":
        "The group's dead letters would go to the queue that they come from.",
        "Name another queue for them.";
    BadMaxAttempts = 705 "bad-max-attempts":
        "A group cannot have this limit of attempts.",
        "Choose 1 to 254, or no limit.";
    GroupInUse = 706 "group-in-use":
        "The group has live members.",
        "End them first.";
    GroupUnacked = 707 "group-unacked":
        "The group has not acked all messages.",
        "Receive them, or remove the group by force.";
    BadInFlight = 708 "bad-in-flight":
        "A group cannot have this many messages in flight, or this ack timeout.",
        "Make it shared, with 1 to 65536 in flight and a timeout of 1 s or more.";
    NoCells = 709 "no-cells":
        "The queue has not so many free places for messages in flight.",
        "Ask for fewer, or create the queue with more (Builder::spare_cells).";
    NotInFlight = 710 "not-in-flight":
        "The group has no places for messages in flight, so none can be taken back or waits for another try, and it has no ack timeout.",
        "End the process that holds the messages; use a group with places (Group::in_flight).";
    InFlightFull = 711 "in-flight-full":
        "All places for messages in flight of the group are in use, so a dead letter cannot be sent to it again.",
        "Requeue again once some are free; if the dead-letter queue is full, make room there first.";
    GroupAbandoned = 712 "group-abandoned":
        "The group is removed with its last member, which has left or died, so a dead letter would be lost with it.",
        "Start a member of the group and requeue again, or purge the letter.";
    DeadLetterName = 713 "dead-letter-name":
        "The queue's name is so long that its queue of dead letters cannot be called `<queue>.dead`.",
        "Name another queue for the group's dead letters, or give the queue a shorter name.";
    // Receiving.
    Empty = 800 "empty":
        "There is no message now, and the call was one that does not wait.",
        "Try again later, or wait.";
    RecvTimeout = 801 "recv-timeout":
        "No message came within the time given.",
        "Try again, if one is still to come.";
    Closed = 802 "closed":
        "The producer has closed the queue, and there are no messages left to receive.",
        "End, or receive again once a new producer has opened it.";
    ProducerGone = 803 "producer-gone":
        "The producer is gone, without closing the queue.",
        "Start a new producer.";
    CannotGrow = 804 "cannot-grow":
        "A batch of a shared group cannot grow: other members may have what follows.",
        "Ack it, and receive the next one.";
    // Acking.
    NotInBatch = 900 "not-in-batch":
        "The message is not in the batch, or is acked already.",
        "Ack or reject messages of the batch only, and each once.";
    Evicted = 901 "evicted":
        "The message is not this job's any more: its time was over, or an operator took it back.",
        "Let it go: it comes again, to this or to another member.";
    // Dead letters.
    DeadLetterFailed = 1000 "dead-letter-failed":
        "A message could not be made a dead letter; it stays with its consumer. The code of the reason says why.",
        "Remove the cause: the message is redelivered.";
    NotForLetters = 1001 "not-for-letters":
        "The queue that is named for dead letters is used for other messages.",
        "Name another queue for them, or add the group dead to it.";
    HandlerRefused = 1002 "handler-refused":
        "The program's own handler for dead letters returned an error.",
        "Read its text for that error.";
    NotALetter = 1003 "not-a-letter":
        "A message of the dead-letter queue is not a dead letter.",
        "Purge it to go on.";
    RetriesTooSmall = 1004 "retries-too-small":
        "The queue of retries has too small a payload size.",
        "Remove it when it is empty; the next requeue creates it anew.";
}

impl ErrorCode {
    /// The code with this number, if this version knows it.
    pub fn from_number(number: u16) -> Option<ErrorCode> {
        ErrorCode::all().find(|code| code.number() == number)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
