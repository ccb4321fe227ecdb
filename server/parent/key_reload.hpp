// When key files are read again: at once where somebody asks, a moment after a change is noticed, and as slices of one
// load at a time. Once it is asked for, turn() does the rest.
#pragma once

#include <optional>

#include "common/clock.hpp"
#include "server/parent/key_passing.hpp"
#include "server/parent/key_watch.hpp"
#include "server/privsep/channel.hpp"

namespace oneknock {

class KeyReload {
public:
    // All of them must live as long. `keys`: to the gatekeeper. `rest`: between two slices of a load.
    KeyReload(Channel& keys, KeyWatch& watch, KeyPassing& passing, Instant now, Instant rest = {});

    void ask(Instant now);                          // SIGHUP
    void ask(RequestId last_request, Instant now);  // oneknockctl

    // What the gatekeeper has taken. False: it was not asked.
    [[nodiscard]] bool on_answer(bool taken);

    [[nodiscard]] bool waits_for_room() const { return passing_.state() == KeyPassing::State::channel_full; }
    [[nodiscard]] std::optional<Instant> next_due(Instant now) const;
    void turn(Instant now);

private:
    void look(Instant now);
    void begin();
    void step();
    [[nodiscard]] bool is_idle() const { return passing_.state() == KeyPassing::State::idle; }
    void plan(Instant when) { at_ = at_.value_or(when); }

    Channel& keys_;
    KeyWatch& watch_;
    KeyPassing& passing_;
    Instant rest_;
    std::optional<Instant> at_;  // of the next load
    Instant look_at_;
    bool is_asked_for_ = false;
    RequestId last_request_ = 0;
};

}  // namespace oneknock
