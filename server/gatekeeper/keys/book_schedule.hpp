// The hours in force: the listener has their codebooks, and the verifier their hint tables, ahead of time.
#pragma once

#include <cstdint>
#include <set>
#include <utility>

#include "common/clock.hpp"
#include "common/fd.hpp"
#include "common/result.hpp"
#include "server/gatekeeper/verify/verifier.hpp"
#include "server/privsep/channel.hpp"

namespace oneknock {

class BookSchedule {
public:
    // `timer`: a timerfd of the wall clock. `listener` must live as long.
    BookSchedule(Channel& listener, Descriptor timer, Seconds tolerance)
        : listener_(listener), timer_(std::move(timer)), tolerance_(tolerance) {}

    // The door's ports, before the first book.
    void send_span(const Door& door);

    // Tells the books the listener does not have yet, begins the hint tables, and sets the timer for the next change.
    // To be called again as long as waits_for_room().
    void prepare(Verifier& verifier, UnixTime now);
    // After a change of the door every book is told again, since its times may be others; those of generations that are
    // not there any more are ended.
    void resend(const Door& door);

    [[nodiscard]] int descriptor() const { return timer_.get(); }  // readable when the timer is due
    // True if the channel had no room for all.
    [[nodiscard]] bool waits_for_room() const { return lacks_books_ || !to_end_.empty(); }
    // True if the hours are to be prepared again: at their edges, and whenever somebody sets the clock.
    [[nodiscard]] bool has_changed();

private:
    void send_ends();
    void send_books(const Door& door, Epoch epoch, UnixTime now);

    Channel& listener_;
    Descriptor timer_;
    Seconds tolerance_;
    using Books = std::set<std::pair<Epoch, std::uint32_t>>;  // hour and generation of the door
    Books sent_;                                              // that the listener has
    Books to_end_;                                            // those of them that the door has no more
    bool lacks_books_ = false;
};

}  // namespace oneknock
