#include "server/gatekeeper/keys/book_schedule.hpp"

#include <algorithm>
#include <cerrno>

#include <sys/timerfd.h>
#include <unistd.h>

#include "common/protocol/key_schedule.hpp"
#include "keys/rotation.hpp"
#include "server/gatekeeper/keys/book_validity.hpp"

namespace oneknock {

void BookSchedule::send_span(const Door& door) {
    DoorSpan span;
    for (const auto& range : door.span.ranges()) span.ranges[span.count++] = range;
    listener_.send(span);
}

void BookSchedule::prepare(Verifier& verifier, UnixTime now) {
    const auto epochs = wanted_epochs(now, tolerance_);
    verifier.set_epochs(epochs);
    // The listener may have dropped books of other hours, also those ahead of a clock that was set back.
    std::erase_if(sent_, [&](const auto& told) { return std::ranges::find(epochs, told.first) == epochs.end(); });
    send_ends();
    lacks_books_ = false;
    for (const Epoch epoch : epochs) send_books(verifier.keyring().door, epoch, now);
    itimerspec when{};
    when.it_value.tv_sec = next_change(now, tolerance_).time_since_epoch().count();
    timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &when, nullptr);
}

void BookSchedule::resend(const Door& door) {
    for (const auto& [epoch, number] : std::exchange(sent_, {})) {
        if (std::ranges::find(door.generations, number, &Generation::number) != door.generations.end()) continue;
        to_end_.insert({epoch, number});
    }
    send_ends();
}

void BookSchedule::send_ends() {
    while (!to_end_.empty()) {
        BookSeed ended;  // live until 1970
        ended.epoch = to_end_.begin()->first.value;
        ended.door_generation = to_end_.begin()->second;
        if (!listener_.send_now(ended)) return;
        to_end_.erase(to_end_.begin());
    }
}

bool BookSchedule::has_changed() {
    std::uint64_t expirations = 0;
    return read(timer_.get(), &expirations, sizeof expirations) >= 0 || errno == ECANCELED;
}

void BookSchedule::send_books(const Door& door, Epoch epoch, UnixTime now) {
    for (const Generation& generation : door.generations) {
        if (has_ended(generation, now - tolerance_)) continue;
        if (sent_.contains({epoch, generation.number})) continue;
        const Secret32 secret = codebook_seed(generation.secret, door.id, epoch);
        BookSeed seed;
        seed.epoch = epoch.value;
        seed.door_generation = generation.number;
        const auto [from, until] = validity_of_book(epoch, generation, tolerance_);
        seed.live_from = from.time_since_epoch().count();
        seed.live_until = until.time_since_epoch().count();
        std::ranges::copy(secret.bytes(), seed.seed.begin());
        if (listener_.send_now(seed)) sent_.insert({epoch, generation.number});
        else lacks_books_ = true;
        wipe(&seed, sizeof seed);
    }
}

}  // namespace oneknock
