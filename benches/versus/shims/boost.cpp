// Boost.Interprocess's message_queue with C's calls. No exception leaves this file.
#include <boost/interprocess/ipc/message_queue.hpp>

using boost::interprocess::message_queue;

extern "C" {

// Null if it cannot be made.
message_queue *versus_boost_create(const char *name, size_t messages, size_t size) try {
    return new message_queue(boost::interprocess::create_only, name, messages, size);
} catch (...) {
    return nullptr;
}

void versus_boost_close(message_queue *queue) { delete queue; }

// 1: sent, 0: full, -1: failed.
int versus_boost_try_send(message_queue *queue, const void *message, size_t size) try {
    return queue->try_send(message, size, 0);
} catch (...) {
    return -1;
}

// 1: received, 0: empty, -1: failed, or of another size.
int versus_boost_try_receive(message_queue *queue, void *message, size_t size) try {
    message_queue::size_type got = 0;
    unsigned priority = 0;
    if (!queue->try_receive(message, size, got, priority))
        return 0;
    return got == size ? 1 : -1;
} catch (...) {
    return -1;
}
}
