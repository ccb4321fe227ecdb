#include "server/parent/key_reload.hpp"

#include <algorithm>
#include <utility>

namespace oneknock {
namespace {

constexpr Instant delay = std::chrono::milliseconds{200};  // to take one command's files together

}  // namespace

KeyReload::KeyReload(Channel& keys, KeyWatch& watch, KeyPassing& passing, Instant now, Instant rest)
    : keys_(keys), watch_(watch), passing_(passing), rest_(rest), look_at_(now + passing.look_interval()) {
    watch_.follow(passing_.links());
}

void KeyReload::ask(Instant now) {
    at_ = now;
    is_asked_for_ = true;
}

void KeyReload::ask(RequestId last_request, Instant now) {
    last_request_ = last_request;
    ask(now);
}

bool KeyReload::on_answer(bool taken) {
    if (passing_.state() != KeyPassing::State::awaiting_answer) return false;
    passing_.on_answer(taken);
    watch_.follow(passing_.links());
    return true;
}

std::optional<Instant> KeyReload::next_due(Instant now) const {
    if (passing_.state() == KeyPassing::State::more) return now + rest_;
    if (!is_idle()) return std::nullopt;
    return at_ ? std::min(*at_, look_at_) : look_at_;
}

void KeyReload::turn(Instant now) {
    if (watch_.changed()) {
        plan(now + delay);
        is_asked_for_ = true;
    }
    if (look_at_ <= now) look(now);
    if (at_ && *at_ <= now && is_idle()) begin();
    step();
}

// For what inotify cannot see.
void KeyReload::look(Instant now) {
    if (is_idle() && passing_.has_changed()) plan(now + delay);
    look_at_ = now + passing_.look_interval();
}

void KeyReload::begin() {
    at_.reset();
    watch_.follow(passing_.links());
    passing_.begin(last_request_, std::exchange(is_asked_for_, false));
}

void KeyReload::step() {
    if (passing_.state() == KeyPassing::State::more || waits_for_room()) passing_.step(keys_);
}

}  // namespace oneknock
