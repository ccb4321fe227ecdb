// One end of a channel between two rooms (server/privsep/messages.hpp): a SOCK_SEQPACKET socket that never blocks, with
// a bounded queue for what the other end has no room for yet.
#pragma once

#include <cstdint>
#include <cstring>
#include <deque>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <poll.h>

#include "common/fd.hpp"
#include "server/privsep/messages.hpp"

namespace oneknock {

// What was received: the bytes of one datagram, and a descriptor if one came with it.
struct Datagram {
    std::array<std::uint8_t, largest_datagram> bytes;
    std::size_t size = 0;
    Descriptor descriptor;

    [[nodiscard]] std::optional<Kind> kind() const;

    // The struct, if kind and size are exactly its own and every value is one that it may have.
    template <class T>
    [[nodiscard]] std::optional<T> as() const {
        if (size != sizeof(T) || kind() != T::kind) return std::nullopt;
        T message;
        std::memcpy(static_cast<void*>(&message), bytes.data(), sizeof message);
        if (!is_well_formed(message)) return std::nullopt;
        return message;
    }
};

class Channel {
public:
    enum class Received : std::uint8_t { datagram, nothing, closed };

    Channel() = default;
    explicit Channel(Descriptor fd) : fd_(std::move(fd)) {}

    // Two connected ends, close-on-exec and non-blocking.
    [[nodiscard]] static Result<std::pair<Channel, Channel>> make_pair();

    [[nodiscard]] int descriptor() const { return fd_.get(); }
    [[nodiscard]] explicit operator bool() const { return static_cast<bool>(fd_); }
    void close() { fd_.reset(); }
    // For another process; nothing may wait to be sent.
    [[nodiscard]] Descriptor release() { return std::move(fd_); }

    // Sends, or queues behind what waits; false if the queue is full (nothing was taken) or the other end is gone.
    template <class T>
    bool send(const T& message, std::size_t longest_queue = 1024) {
        static_assert(!std::is_same_v<T, BookSeed>, "no secret waits in a queue: send_now()");
        return send_bytes(datagram_of(message), longest_queue);
    }

    // Sends it now or not at all: false if there is no room, or something sent before is still waiting.
    template <class T>
    [[nodiscard]] bool send_now(const T& message) {
        return send_bytes(datagram_of(message), 0);
    }

    // The same with a descriptor, which is sent at once or not at all: false if there is no room now, or something sent
    // before is still waiting. True as well if the other end is gone, which receive() tells.
    [[nodiscard]] bool try_send_with(ByteSpan bytes, int descriptor);

    [[nodiscard]] bool wants_write() const { return !queue_.empty(); }
    // What a loop waits for: something to receive, and room if something waits or, with `for_room`, in any case.
    [[nodiscard]] pollfd polled(bool for_room = false) const {
        return {fd_.get(), static_cast<short>(for_room || wants_write() ? POLLIN | POLLOUT : POLLIN), 0};
    }
    void flush();

    Received receive(Datagram& datagram);

private:
    bool send_bytes(ByteSpan bytes, std::size_t longest_queue);
    bool try_send(ByteSpan bytes);

    Descriptor fd_;
    std::deque<std::vector<std::uint8_t>> queue_;
};

}  // namespace oneknock
