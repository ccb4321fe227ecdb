// A week in the life of a door with 1,000 clients, in process and with a clock of our own: every client's key and the
// door's secret are rotated while clients knock, and copies of old keys that somebody forgot knock as well. What is to
// be accepted is worked out here a second time, from what happened, and not with keys/rotation.
#include <algorithm>
#include <iostream>
#include <memory>
#include <numeric>
#include <queue>
#include <random>

#include "common/protocol/key_schedule.hpp"
#include "keys/rotation.hpp"
#include "server/gatekeeper/decide/decider.hpp"
#include "server/gatekeeper/keys/book_validity.hpp"
#include "tests/catch.hpp"

using namespace oneknock;

namespace {

constexpr std::size_t client_count = 1000;
constexpr UnixTime start{Seconds{1'800'000'000}};
constexpr Seconds minute{60}, hour{3600}, day{86400};
constexpr Seconds tolerance{60};
constexpr Seconds client_overlap = 2 * day, door_overlap = 36 * hour, grace = 12 * hour;
const Address source = *Address::parse("192.0.2.7");

// --- what the administrator does, and the daemon is told ---

std::vector<Generation> copy(const std::vector<Generation>& generations) {
    std::vector<Generation> copies;
    for (const Generation& g : generations) copies.push_back({g.number, g.secret.copy(), g.not_before, g.not_after});
    return copies;
}

Client copy(const Client& c) {
    return {c.name, c.allow, c.source, c.max_duration, c.revoked, c.expires, copy(c.generations)};
}

Door copy(const Door& d) { return {d.name, d.address, d.id, d.span, d.services, copy(d.generations)}; }

Keyring copy(const Keyring& keyring) {
    Keyring copied;
    copied.door = copy(keyring.door);
    for (const Client& client : keyring.clients) copied.clients.push_back(copy(client));
    return copied;
}

Keyring new_keyring() {
    Keyring keyring;
    keyring.door.name = "home";
    keyring.door.services = {{"ssh", {protocol_tcp, 22}}};
    keyring.door.generations.push_back({1, Secret32::random(), start, std::nullopt});
    for (std::size_t i = 0; i < client_count; ++i) {
        Client client;
        client.name = "client" + std::to_string(10'000 + i);
        client.allow = {"ssh"};
        client.generations.push_back({1, Secret32::random(), start, std::nullopt});
        keyring.clients.push_back(std::move(client));
    }
    return keyring;
}

// A daemon as far as keys go.
class Daemon {
public:
    explicit Daemon(const Keyring& files)
        : decider_(Verifier(copy(files)), *Record::open("", files.door.id, {start, start - UnixTime{}}, tolerance),
                   *Audit::open("", start), {tolerance, Seconds{30}, Seconds{3600}, grace}) {
        decider_.learn_uses();
    }

    // One client's file has changed, or the door's, or each looks as if it had.
    void reload(const Client& client) {
        KeyChange change;
        change.clients.emplace(client.name, decider_.prepare(copy(client)));
        decider_.change_keys(change);
    }
    void reload(const Door& door) {
        KeyChange change;
        change.door = copy(door);
        decider_.change_keys(change);
    }
    void reload(const Keyring& files) {
        KeyChange change;
        change.door = copy(files.door);
        for (const Client& client : files.clients) change.clients.emplace(client.name, decider_.prepare(copy(client)));
        decider_.change_keys(change);
    }
    void tidy(UnixTime now) { CHECK_FALSE(decider_.record().prune(now, tolerance)); }

    // The reason of a refusal; nothing: accepted. "not heard": no book of the listener's knows the packets.
    std::string decide_and_record(Candidate candidate, const Secret32& door_secret, UnixTime now) {
        const auto& door = decider_.verifier().keyring().door;
        const auto book = std::ranges::find_if(door.generations, [&](const Generation& g) {
            return g.secret.equals(door_secret) && now + tolerance >= g.not_before && !has_ended(g, now);
        });
        if (book == door.generations.end()) return "not heard";
        decider_.verifier().set_epochs(wanted_epochs(now, tolerance));
        candidate.door_generation = book->number;
        const Decision decision = decider_.decide_and_record({candidate}, {now, now - UnixTime{}})[0];
        return decision.refused ? std::string(reason_name(*decision.refused)) : "";
    }

private:
    Decider decider_;
};

// --- what clients have ---

struct Key {
    std::uint32_t number = 0, door_number = 0;  // generations
    Secret32 secret, door_secret;
    UnixTime made{};
};

struct Holder {
    std::vector<Key> keys;  // newest last; the others are forgotten copies
    Seconds skew{0};        // of its clock
};

// --- what is to be expected: the history, told by the numbers of generations ---

class History {
public:
    void rotated(std::uint32_t number, UnixTime at, Seconds overlap) { ends_.emplace(number - 1, at + overlap); }
    void accepted(std::uint32_t number, UnixTime at) {
        for (std::uint32_t older = 1; older < number; ++older) moved_.emplace(older, at);  // the first time counts
    }
    [[nodiscard]] std::optional<UnixTime> moved(std::uint32_t from) const {
        const auto found = moved_.find(from);
        return found == moved_.end() ? std::nullopt : std::optional(found->second);
    }
    [[nodiscard]] UnixTime end_of(std::uint32_t number, const std::optional<UnixTime>& moved_at) const {
        const auto end = ends_.find(number);
        if (end == ends_.end()) return UnixTime::max();
        return moved_at ? std::min(end->second, *moved_at + grace) : end->second;
    }

private:
    std::map<std::uint32_t, UnixTime> ends_, moved_;  // by generation
};

struct Counts {
    int rotations = 0, knocks = 0, refused_knocks = 0;
    int copies = 0, copies_in_force = 0, copies_accepted_late = 0, copies_refused_early = 0;
};

class Week {
public:
    Week() : files_(new_keyring()), daemon_(files_), holders_(client_count), histories_(client_count) {
        for (std::size_t i = 0; i < client_count; ++i) {
            holders_[i].keys.push_back(issue(i, start));
            holders_[i].skew = Seconds{below(101)} - Seconds{50};
        }
    }

    Counts run() {
        std::vector<std::size_t> everyone(client_count);
        std::iota(everyone.begin(), everyone.end(), std::size_t{0});
        for (const std::size_t i : everyone)
            for (int times = below(5) == 0 ? 2 : 1; times > 0; --times)
                at(start + Seconds{below(7 * 86400)}, [this, i] { rotate(i); });
        at(start + Seconds{below(2 * 86400)}, [this] { rotate_door(); });
        at(start + 5 * day + Seconds{below(2 * 86400)}, [this] { rotate_door(); });
        for (UnixTime time = start; time < start + 7 * day; time += hour) plan_hour(time, everyone);
        for (UnixTime time = start; time < start + 7 * day; time += 10 * minute)
            at(time, [this] { daemon_.tidy(now_); });
        for (int times = 0; times < 20; ++times)
            at(start + Seconds{below(7 * 86400)}, [this] { daemon_.reload(files_); });
        while (!events_.empty() && events_.top().time < start + 7 * day) {
            const Event event = events_.top();
            events_.pop();
            now_ = event.time;
            event.happen();
        }
        return counts_;
    }

private:
    struct Event {
        UnixTime time;
        int order;
        std::function<void()> happen;
        bool operator<(const Event& other) const { return std::tie(time, order) > std::tie(other.time, other.order); }
    };

    int below(int bound) { return static_cast<int>(random_() % static_cast<unsigned>(bound)); }
    void at(UnixTime time, std::function<void()> happen) { events_.push({time, next_order_++, std::move(happen)}); }

    // Every second client, picked at random, knocks some time in this hour; and some forgotten copies do.
    void plan_hour(UnixTime begin, std::vector<std::size_t>& everyone) {
        std::ranges::shuffle(everyone, random_);
        for (std::size_t n = 0; n < client_count / 2; ++n)
            at(begin + Seconds{below(3600)}, [this, i = everyone[n]] { knock_with_newest(i); });
        for (std::size_t n = 0; n < client_count / 10; ++n)
            at(begin + Seconds{below(3600)}, [this, i = everyone[n]] { knock_with_copy(i); });
    }

    Key issue(std::size_t i, UnixTime now) const {
        const Generation& own = files_.clients[i].generations.back();
        const Generation& door = files_.door.generations.back();
        return {own.number, door.number, own.secret.copy(), door.secret.copy(), now};
    }

    // The key file reaches the client before the overlap is over. One that is older than what it has is not taken.
    void deliver(std::size_t i, Seconds overlap) {
        auto key = std::make_shared<Key>(issue(i, now_));
        at(now_ + Seconds{below(static_cast<int>(overlap.count()) - 60)}, [this, i, key] {
            if (key->made < holders_[i].keys.back().made) return;
            holders_[i].keys.push_back(std::move(*key));
        });
    }

    void rotate(std::size_t i) {
        auto& generations = files_.clients[i].generations;
        REQUIRE(add_generation(generations, Secret32::random(), now_, client_overlap));
        histories_[i].own.rotated(generations.back().number, now_, client_overlap);
        deliver(i, client_overlap);
        daemon_.reload(files_.clients[i]);
        ++counts_.rotations;
    }

    void rotate_door() {
        REQUIRE(add_generation(files_.door.generations, Secret32::random(), now_, door_overlap));
        REQUIRE(files_.door.generations.size() <= most_door_generations);
        door_history_.rotated(files_.door.generations.back().number, now_, door_overlap);
        for (std::size_t i = 0; i < client_count; ++i) deliver(i, door_overlap);
        daemon_.reload(files_.door);
        ++counts_.rotations;
    }

    bool knock(std::size_t i, const Key& key) {
        Request request;
        request.port = 22;
        request.address = source;
        request.time = static_cast<std::uint32_t>((now_ + holders_[i].skew).time_since_epoch().count());
        fill_random(request.nonce);
        Candidate candidate;
        const Epoch epoch = epoch_of(now_ + holders_[i].skew);
        candidate.epoch = epoch.value;
        candidate.source = source;
        candidate.message = seal(request, derive_message_keys(key.secret), files_.door.id,
                                 hint_for(derive_hint_key(key.secret), epoch));
        const std::string refused = daemon_.decide_and_record(candidate, key.door_secret, now_);
        if (!refused.empty()) return false;
        histories_[i].own.accepted(key.number, now_);
        histories_[i].door.accepted(key.door_number, now_);
        return true;
    }

    void knock_with_newest(std::size_t i) {
        ++counts_.knocks;
        counts_.refused_knocks += !knock(i, holders_[i].keys.back());
    }

    void knock_with_copy(std::size_t i) {
        const auto& keys = holders_[i].keys;
        if (keys.size() < 2) return;
        const Key& key = keys[static_cast<std::size_t>(below(static_cast<int>(keys.size()) - 1))];
        const bool in_force = now_ <= histories_[i].own.end_of(key.number, histories_[i].own.moved(key.number)) &&
                              now_ <= door_history_.end_of(key.door_number, all_moved(key.door_number));
        const bool accepted = knock(i, key);
        ++counts_.copies;
        counts_.copies_in_force += in_force;
        counts_.copies_accepted_late += accepted && !in_force;
        counts_.copies_refused_early += !accepted && in_force;
    }

    [[nodiscard]] std::optional<UnixTime> all_moved(std::uint32_t from) const {
        UnixTime last{};
        for (const auto& history : histories_) {
            const auto moved = history.door.moved(from);
            if (!moved) return std::nullopt;
            last = std::max(last, *moved);
        }
        return last;
    }

    struct Histories {
        History own, door;
    };

    std::mt19937 random_{20261123};
    Keyring files_;
    Daemon daemon_;
    std::vector<Holder> holders_;
    std::vector<Histories> histories_;
    History door_history_;
    std::priority_queue<Event> events_;
    int next_order_ = 0;
    UnixTime now_ = start;
    Counts counts_;
};

}  // namespace

// Dates and decisions, no memory of its own: a minute more with sanitizers would show nothing more.
TEST_CASE("through a week of rotations no newest key is refused, and no old one accepted after its end",
          "[unsanitized]") {
    const Counts counts = Week().run();
    std::cout << "a week of " << client_count << " clients: " << counts.rotations << " rotations; " << counts.knocks
              << " knocks with the newest key, " << counts.refused_knocks << " refused; " << counts.copies
              << " with forgotten copies, " << counts.copies_in_force << " of them in force, "
              << counts.copies_accepted_late << " accepted after their end\n";
    CHECK(counts.rotations > static_cast<int>(client_count));
    CHECK(counts.knocks == 7 * 24 * static_cast<int>(client_count) / 2);
    CHECK(counts.refused_knocks == 0);
    CHECK(counts.copies_in_force > 1000);
    CHECK(counts.copies - counts.copies_in_force > 1000);
    CHECK(counts.copies_accepted_late == 0);
    CHECK(counts.copies_refused_early == 0);
}
