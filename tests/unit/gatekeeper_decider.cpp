// The refusals, in their order, and what goes into the record: with real keys, a record in memory and a clock of ours.
#include "server/gatekeeper/decide/decider.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <sqlite3.h>

#include "common/protocol/key_schedule.hpp"
#include "common/protocol/knock.hpp"
#include "tests/catch.hpp"
#include "tests/unit/file_size_limit.hpp"

using namespace oneknock;

namespace {

constexpr UnixTime noon{Seconds{1'800'001'800}};  // the middle of an hour
const Address home = *Address::parse("192.0.2.7");
const Address elsewhere = *Address::parse("198.51.100.9");

Now at(UnixTime wall) { return {wall, Seconds{5000} + (wall - noon)}; }

struct Door1 {
    Secret32 alice = Secret32::random();
    Secret32 old_alice = Secret32::random();
    DoorId id{{1}};

    Keyring keyring(const std::function<void(Client&)>& change = {}) {
        Keyring keyring;
        keyring.door.name = "home";
        keyring.door.id = id;
        keyring.door.services = {{"ssh", {protocol_tcp, 22}}, {"dns", {protocol_udp, 53}}, {"web", {protocol_tcp, 80}}};
        keyring.door.generations.push_back({1, Secret32::random(), noon - Seconds{100'000}, std::nullopt});
        Client client;
        client.name = "alice";
        client.allow = {"ssh", "dns"};
        client.max_duration = Seconds{600};
        client.generations.push_back({1, old_alice.copy(), noon - Seconds{100'000}, noon - Seconds{500}});
        client.generations.push_back({2, alice.copy(), noon - Seconds{1000}, std::nullopt});
        if (change) change(client);
        keyring.clients.push_back(std::move(client));
        return keyring;
    }

    Decider decider(const std::function<void(Client&)>& change = {}, Seconds flows_after = Seconds{0},
                    const std::string& audit_folder = "") {
        Decider decider(Verifier(keyring(change)), *Record::open("", id, at(noon), Seconds{60}, {}, flows_after),
                        *Audit::open(audit_folder, noon), Limits{});
        const std::uint64_t hour = epoch_of(noon).value;
        decider.verifier().set_epochs({Epoch{hour - 1}, Epoch{hour}, Epoch{hour + 1}});
        return decider;
    }

    [[nodiscard]] Request request(UnixTime time = noon) const {
        Request request;
        request.port = 22;
        request.time = static_cast<std::uint32_t>(time.time_since_epoch().count());
        request.address = home;
        fill_random(request.nonce);
        return request;
    }

    [[nodiscard]] Candidate candidate(const Request& request, const Secret32& key, const Address& source = home) const {
        Candidate candidate;
        const Epoch epoch = epoch_of(UnixTime{Seconds{request.time}});
        candidate.epoch = epoch.value;
        candidate.door_generation = 1;
        candidate.source = source;
        candidate.message = seal(request, derive_message_keys(key), id, hint_for(derive_hint_key(key), epoch));
        return candidate;
    }
    [[nodiscard]] Candidate candidate(const Request& r, const Address& source = home) const {
        return candidate(r, alice, source);
    }
};

std::string outcome(Decider& decider, const Candidate& candidate, UnixTime now = noon) {
    const auto decisions = decider.decide_and_record({candidate}, at(now));
    REQUIRE(decisions.size() == 1);
    return decisions[0].refused ? std::string(reason_name(*decisions[0].refused)) : "accepted";
}

constexpr Seconds day{86'400};

// Its first secret ends in a week, or a day after all clients have used the second; bob may still have the first alone.
Decider while_the_door_rotates(Door1& door, std::optional<UnixTime> end_of_bob) {
    Keyring keyring = door.keyring();
    keyring.door.generations[0].not_after = noon + 7 * day;
    keyring.door.generations.push_back({2, Secret32::random(), noon - Seconds{100}, std::nullopt});
    Client bob;
    bob.name = "bob";
    bob.allow = {"ssh"};
    bob.expires = end_of_bob;
    bob.generations.push_back({1, Secret32::random(), noon - Seconds{100'000}, std::nullopt});
    keyring.clients.push_back(std::move(bob));
    return Decider(Verifier(std::move(keyring)), *Record::open("", door.id, at(noon), Seconds{60}),
                   *Audit::open("", noon), {Seconds{60}, Seconds{30}, Seconds{3600}, day});
}

}  // namespace

TEST_CASE("a fresh knock of an allowed client is accepted once and replayed ever after") {
    Door1 door;
    auto decider = door.decider();
    const auto knock = door.candidate(door.request());
    CHECK(outcome(decider, knock) == "accepted");
    CHECK(outcome(decider, knock) == "replayed");
    CHECK(outcome(decider, knock, noon + Seconds{60}) == "replayed");
    CHECK(outcome(decider, knock, noon + Seconds{61}) == "stale");
    CHECK(outcome(decider, knock, noon - Seconds{60}) == "replayed");
    CHECK(outcome(decider, door.candidate(door.request())) == "accepted");
}

TEST_CASE("the audit's lines wait until they are written, those of several turns together") {
    Door1 door;
    auto decider = door.decider();
    for (const std::size_t turns : {1U, 2U}) {
        auto decisions = decider.decide({door.candidate(door.request())}, at(noon));
        decider.make_durable(decisions, at(noon));
        decider.note_for_audit(decisions, at(noon));
        CHECK(decider.unwritten_lines() == turns);
        CHECK(decider.audit().lines_of("alice") == 0);
    }
    REQUIRE(decider.write_audit());
    CHECK(decider.unwritten_lines() == 0);
    CHECK(decider.audit().lines_of("alice") == 2);
}

TEST_CASE("lines that cannot be written wait until they can be, but no more than so many") {
    std::string folder = (std::filesystem::temp_directory_path() / "oneknock-audit-XXXXXX").string();
    REQUIRE(mkdtemp(folder.data()) != nullptr);
    Door1 door;
    {
        auto decider = door.decider({}, Seconds{0}, folder + "/");
        sqlite3* other = nullptr;
        REQUIRE(sqlite3_open((folder + "/oneknock.db").c_str(), &other) == SQLITE_OK);
        const auto run = [&](const char* sql) {
            REQUIRE(sqlite3_exec(other, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
        };
        auto decisions = decider.decide({door.candidate(door.request())}, at(noon));
        decider.make_durable(decisions, at(noon));

        run("BEGIN IMMEDIATE");
        for (std::size_t i = 0; i < Decider::most_unwritten_lines; ++i) decider.note_for_audit(decisions, at(noon));
        CHECK_FALSE(decider.write_audit());
        CHECK(decider.unwritten_lines() == Decider::most_unwritten_lines);
        run("ROLLBACK");
        CHECK(decider.write_audit());
        CHECK(decider.unwritten_lines() == 0);
        CHECK(decider.audit().lines_of("alice") == Decider::most_unwritten_lines);

        run("BEGIN IMMEDIATE");
        for (std::size_t i = 0; i <= Decider::most_unwritten_lines; ++i) decider.note_for_audit(decisions, at(noon));
        CHECK_FALSE(decider.write_audit());
        CHECK(decider.unwritten_lines() == 0);
        CHECK(decider.audit().lines_of("alice") == Decider::most_unwritten_lines);
        sqlite3_close(other);
    }
    std::filesystem::remove_all(folder);
}

TEST_CASE("two copies in one turn open once") {
    Door1 door;
    auto decider = door.decider();
    const auto knock = door.candidate(door.request());
    const auto decisions = decider.decide_and_record({knock, knock, knock}, at(noon));
    CHECK_FALSE(decisions[0].refused);
    CHECK(decisions[1].refused == Reason::replayed);
    CHECK(decisions[2].refused == Reason::replayed);
}

TEST_CASE("the clock's window is closed at both ends and says the skew") {
    struct Row {
        int offset;
        const char* expected;
    };
    for (const auto& [offset, expected] :
         {Row{-61, "stale"}, Row{-60, "accepted"}, Row{0, "accepted"}, Row{60, "accepted"}, Row{61, "future"}}) {
        Door1 door;
        auto decider = door.decider();
        const auto decisions =
            decider.decide_and_record({door.candidate(door.request(noon + Seconds{offset}))}, at(noon));
        CHECK((decisions[0].refused ? std::string(reason_name(*decisions[0].refused)) : "accepted") == expected);
        CHECK(decisions[0].skew == Seconds{offset});
    }
}

TEST_CASE("the first refusal that applies is the one that is told") {
    Door1 door;
    Request wrong = door.request(noon + Seconds{90});
    wrong.operation = 9;
    wrong.port = 443;
    wrong.address = elsewhere;

    auto revoked = door.decider([](Client& c) { c.revoked = true; });
    auto other_hour = door.candidate(wrong);
    other_hour.epoch -= 1;
    CHECK(outcome(revoked, door.candidate(wrong, Secret32::random())) == "unknown-key");
    CHECK(outcome(revoked, other_hour) == "unknown-key");  // read with another hour's book its hint names no key
    CHECK(outcome(revoked, door.candidate(wrong)) == "key-revoked");

    auto expired = door.decider([](Client& c) { c.expires = noon - Seconds{1}; });
    CHECK(outcome(expired, door.candidate(wrong)) == "key-expired");
    auto decider = door.decider();
    CHECK(outcome(decider, door.candidate(wrong, door.old_alice)) == "key-expired");
    CHECK(outcome(decider, door.candidate(wrong)) == "future");
    wrong.time -= 60;
    CHECK(outcome(decider, door.candidate(wrong)) == "address-mismatch");
    wrong.address = home;
    CHECK(outcome(decider, door.candidate(wrong)) == "unknown-operation");
    CHECK(outcome(decider, door.candidate(wrong)) == "replayed");
    wrong.operation = 1;
    CHECK(outcome(decider, door.candidate(wrong)) == "service-not-allowed");
}

TEST_CASE("a message whose time is not of its book's hour is refused, even where the hint fits") {
    Door1 door;
    auto decider = door.decider();
    Request request = door.request(noon);
    const Epoch before{epoch_of(noon).value - 1};
    Candidate candidate = door.candidate(request);
    candidate.epoch = before.value;
    candidate.message =
        seal(request, derive_message_keys(door.alice), door.id, hint_for(derive_hint_key(door.alice), before));
    CHECK(outcome(decider, candidate) == "wrong-epoch");
}

TEST_CASE("hours that are not in force have no keys, whatever the listener says") {
    Door1 door;
    auto decider = door.decider();
    CHECK(outcome(decider, door.candidate(door.request(noon + Seconds{7200}))) == "unknown-key");
}

TEST_CASE("only allowed services of the door's own protocol open, and port 0 never does") {
    struct Row {
        std::uint8_t protocol;
        std::uint16_t port;
        const char* expected;
    };
    for (const auto& [protocol, port, expected] :
         {Row{6, 22, "accepted"}, Row{17, 53, "accepted"}, Row{17, 22, "service-not-allowed"},
          Row{6, 53, "service-not-allowed"}, Row{6, 80, "service-not-allowed"}, Row{6, 0, "service-not-allowed"},
          Row{132, 22, "service-not-allowed"}}) {
        Door1 door;
        auto decider = door.decider();
        Request request = door.request();
        request.protocol = protocol;
        request.port = port;
        CHECK(outcome(decider, door.candidate(request)) == expected);
    }
}

TEST_CASE("the duration is clamped to the client's maximum, never refused") {
    struct Row {
        int asked;
        int granted;
    };
    for (const auto& [asked, granted] : {Row{0, 30}, Row{1, 1}, Row{600, 600}, Row{601, 600}, Row{65535, 600}}) {
        Door1 door;
        auto decider = door.decider();
        Request request = door.request();
        request.duration_s = static_cast<std::uint16_t>(asked);
        CHECK(decider.decide_and_record({door.candidate(request)}, at(noon))[0].duration == Seconds{granted});
    }
}

TEST_CASE("a knock read with a secret that the door has no more is no knock") {
    Door1 door;
    auto decider = door.decider();
    auto candidate = door.candidate(door.request());
    candidate.door_generation = 2;
    CHECK(outcome(decider, candidate) == "unknown-key");
    KeyChange change;
    change.door = door.keyring().door;
    change.door->generations.push_back({2, Secret32::random(), noon, std::nullopt});
    change.door->generations[0].not_after = noon - Seconds{61};
    decider.change_keys(change);
    CHECK(outcome(decider, door.candidate(door.request())) == "unknown-key");
    CHECK(outcome(decider, candidate) == "accepted");
}

TEST_CASE("a door's older secret does not wait for a client that was removed") {
    Door1 door;
    Decider decider = while_the_door_rotates(door, std::nullopt);
    decider.verifier().set_epochs({epoch_of(noon)});
    auto knock = door.candidate(door.request());
    knock.door_generation = 2;
    REQUIRE(outcome(decider, knock) == "accepted");
    const auto& older = decider.verifier().keyring().door.generations[0];
    CHECK(older.not_after == noon + 7 * day);  // bob may still have it alone
    static_cast<void>(decider.door_has_changed());

    KeyChange change;
    change.gone = {"bob"};
    decider.change_keys(change);
    CHECK(older.not_after == noon + day);
    CHECK(decider.door_has_changed());
}

// By a clock that is ahead for a while, a client that is waited for has expired.
TEST_CASE("a door's older secret waits for whoever had not expired when somebody last used the door") {
    Door1 door;
    Decider decider = while_the_door_rotates(door, noon + day);
    const auto knock = [&](UnixTime now) {
        decider.verifier().set_epochs({epoch_of(now)});
        auto candidate = door.candidate(door.request(now));
        candidate.door_generation = 2;
        return outcome(decider, candidate, now);
    };
    REQUIRE(knock(noon) == "accepted");
    KeyChange change;
    change.gone = {"carol"};
    decider.change_keys(change);  // whatever the clock says
    const auto& older = decider.verifier().keyring().door.generations[0];
    CHECK(older.not_after == noon + 7 * day);
    REQUIRE(knock(noon + day + Seconds{1}) == "accepted");
    CHECK(older.not_after == noon + day);
}

TEST_CASE("nothing is left of a reload that was refused") {
    Door1 door;
    const auto alice = [&](UnixTime since) {
        Client client = std::move(door.keyring().clients[0]);
        client.generations[0].not_before = since;
        client.generations[0].not_after = noon + 7 * day;
        return client;
    };
    Keyring keyring = door.keyring();
    keyring.clients[0] = alice(noon - Seconds{1000});
    Decider decider(Verifier(std::move(keyring)), *Record::open("", door.id, at(noon), Seconds{60}),
                    *Audit::open("", noon), {Seconds{60}, Seconds{30}, Seconds{3600}, day});
    decider.verifier().set_epochs({epoch_of(noon)});
    REQUIRE(outcome(decider, door.candidate(door.request())) == "accepted");
    const auto reload = [&](Client client) {
        KeyChange change;
        change.clients.emplace("alice", decider.prepare(std::move(client)));
        decider.change_keys(change);
    };
    const auto end = [&] { return decider.verifier().keyring().clients[0].generations[0].not_after; };
    CHECK(end() == noon + day);
    reload(alice(noon + Seconds{1}));
    CHECK(end() == noon + 7 * day);  // another client of that name

    static_cast<void>(decider.prepare(alice(noon - Seconds{1000})));
    decider.keep_keys();
    KeyChange nothing;
    decider.change_keys(nothing);
    CHECK(end() == noon + 7 * day);
}

TEST_CASE("a knock refused today cannot be played back later") {
    Door1 door;
    auto decider = door.decider();
    const auto early = door.candidate(door.request(noon + Seconds{90}));
    CHECK(outcome(decider, early) == "future");
    CHECK(outcome(decider, early, noon + Seconds{90}) == "replayed");

    auto revoked = door.decider([](Client& c) { c.revoked = true; });
    const auto knock = door.candidate(door.request());
    CHECK(outcome(revoked, knock) == "key-revoked");
    KeyChange change = change_to(door.keyring());
    revoked.change_keys(change);
    CHECK(outcome(revoked, knock) == "replayed");
}

TEST_CASE("a racing copy from another address does not burn the real knock") {
    Door1 door;
    auto decider = door.decider();
    const Request request = door.request();
    CHECK(outcome(decider, door.candidate(request, elsewhere)) == "address-mismatch");
    CHECK(outcome(decider, door.candidate(request, home)) == "accepted");
}

TEST_CASE("an open that was withheld before a close of its service stays refused") {
    Door1 door;
    auto decider = door.decider();
    const auto withheld = door.candidate(door.request(noon));
    Request other_service = door.request(noon);
    other_service.protocol = protocol_udp;
    other_service.port = 53;
    Request close = door.request(noon + Seconds{1});
    close.operation = 2;
    CHECK(outcome(decider, door.candidate(close), noon + Seconds{1}) == "accepted");
    CHECK(outcome(decider, withheld, noon + Seconds{2}) == "closed-since");
    CHECK(outcome(decider, door.candidate(other_service), noon + Seconds{2}) == "accepted");
    CHECK(outcome(decider, door.candidate(door.request(noon + Seconds{1})), noon + Seconds{2}) == "accepted");
}

TEST_CASE("the all-zero address means the packets' source, where the policy allows it") {
    for (const char* policy : {"same", "observed", "any", "192.0.2.0/24", "203.0.113.0/24"}) {
        Door1 door;
        auto decider = door.decider([&](Client& c) { c.source = *SourcePolicy::parse(policy); });
        Request request = door.request();
        request.address = Address::any(Family::ipv4);
        const auto decision = decider.decide_and_record({door.candidate(request)}, at(noon))[0];
        const std::string name(policy);
        if (name == "same" || name == "203.0.113.0/24") {
            CHECK(decision.refused == Reason::address_mismatch);
        } else {
            CHECK_FALSE(decision.refused);
            CHECK(decision.address == home);
        }
    }
}

TEST_CASE("what could not be written down opens nothing, and may be sent again") {
    std::string folder = (std::filesystem::temp_directory_path() / "oneknock-decider-XXXXXX").string();
    REQUIRE(mkdtemp(folder.data()) != nullptr);
    {
        Door1 door;
        std::ofstream(folder + "/new-door") << to_hex(door.id.bytes) << "\n";
        Decider decider(Verifier(door.keyring()), *Record::open(folder + "/", door.id, at(noon), Seconds{60}),
                        *Audit::open("", noon), Limits{});
        decider.verifier().set_epochs({epoch_of(noon)});
        const auto knock = door.candidate(door.request());
        const FileSizeLimit nothing(0);
        const auto first = outcome(decider, knock), second = outcome(decider, knock);
        nothing.lift();
        CHECK(first == "record-failed");
        CHECK(second == "record-failed");
        CHECK(decider.record().grants().size() == 0);
        CHECK(decider.record_problem().find("cannot write the replay record: ") == 0);
        CHECK(outcome(decider, knock) == "accepted");
        CHECK(outcome(decider, knock) == "replayed");
    }
    std::filesystem::remove_all(folder);
}

TEST_CASE("a client that fills its share of the record is stopped, and nothing of it can be played back") {
    Door1 door;
    auto decider = door.decider();
    std::vector<Candidate> knocks;
    for (std::size_t i = 0; i < Record::most_tags_per_client + 10; ++i)
        knocks.push_back(door.candidate(door.request()));
    std::size_t accepted = 0;
    for (std::size_t i = 0; i < knocks.size(); ++i) {
        const auto decision = decider.decide_and_record(
            {knocks[i]}, {noon, Seconds{5000} + std::chrono::milliseconds{20} * static_cast<long>(i)})[0];
        accepted += !decision.refused;
    }
    CHECK(accepted == Record::most_tags_per_client);
    CHECK(outcome(decider, knocks.back(), noon + Seconds{1}) == "replayed");
    CHECK(outcome(decider, door.candidate(door.request(noon)), noon + Seconds{1}) == "replayed");
    CHECK(outcome(decider, door.candidate(door.request(noon + Seconds{1})), noon + Seconds{1}) == "rate-limited");
    CHECK_FALSE(decider.record().prune(noon + Seconds{62}, Seconds{60}));
    CHECK(outcome(decider, door.candidate(door.request(noon + Seconds{62})), noon + Seconds{62}) == "accepted");
}

TEST_CASE("a client that has its share of grants is refused more of them, and nobody else is") {
    Door1 door;
    auto decider = door.decider([](Client& c) { c.source = *SourcePolicy::parse("any"); });
    const auto open_for = [&](std::uint32_t number, Seconds later) {
        Request request = door.request(noon + later);
        request.address = Address::ipv4(0x0a000000 + number);
        return outcome(decider, door.candidate(request), noon + later);
    };
    std::size_t accepted = 0;
    Seconds later{0};
    for (std::uint32_t i = 0; i < HeldGrants::most_per_client; ++i) {
        if (i % 500 == 499) later += Seconds{5};  // within the rate
        accepted += open_for(i, later) == "accepted";
    }
    CHECK(accepted == HeldGrants::most_per_client);
    CHECK(open_for(5000, later) == "rate-limited");
    CHECK(open_for(7, later) == "accepted");  // one that it has
    CHECK(decider.record().grants().live(at(noon + later).steady).size() == HeldGrants::most_per_client);
    CHECK(open_for(5000, Seconds{41}) == "accepted");  // when they have ended
}

TEST_CASE("a client begins UDP flows from new addresses only so often, and opens TCP services as before") {
    Door1 door;
    auto decider = door.decider([](Client& c) { c.source = *SourcePolicy::parse("any"); }, Seconds{86400});
    Seconds later{0};
    const auto open = [&](std::uint32_t number, const Service& service, Operation operation = Operation::open) {
        Request request = door.request(noon + later);
        request.address = Address::ipv4(0x0a000000 + number);
        request.protocol = service.protocol;
        request.port = service.port;
        request.operation = static_cast<std::uint8_t>(operation);
        return outcome(decider, door.candidate(request), noon + later);
    };
    const Service dns{protocol_udp, 53};
    const Service ssh{protocol_tcp, 22};
    for (std::uint32_t i = 0; i < 8; ++i) CHECK(open(i, dns) == "accepted");
    CHECK(open(8, dns) == "rate-limited");
    CHECK(open(7, dns) == "accepted");  // not a new one
    CHECK(open(8, ssh) == "accepted");
    CHECK(open(0, dns, Operation::close) == "accepted");
    later = Seconds{1};
    CHECK(open(9, dns) == "rate-limited");  // what was closed may go on for a while
    later = Seconds{60};
    CHECK(open(9, dns) == "accepted");
    CHECK(open(10, dns) == "rate-limited");
    later = Seconds{3600};
    for (std::uint32_t i = 20; i < 28; ++i) CHECK(open(i, dns) == "accepted");
    CHECK(open(28, dns) == "rate-limited");
}

TEST_CASE("an accepted open lasts until the later of its own end and that of the grant there was") {
    Door1 door;
    auto decider = door.decider();
    const auto open = [&](std::uint16_t duration) {
        Request request = door.request();
        request.duration_s = duration;
        return decider.decide_and_record({door.candidate(request)}, at(noon))[0];
    };
    CHECK(open(60).ends == at(noon).steady + Seconds{60});
    const auto shorter = open(30);
    CHECK(shorter.duration == Seconds{30});
    CHECK(shorter.ends == at(noon).steady + Seconds{60});
    CHECK(shorter.ended_before == shorter.ends);
    CHECK(open(90).ends == at(noon).steady + Seconds{90});
}

TEST_CASE("after a loss every knock is refused until two tolerances have passed, whatever the wall clock does") {
    Door1 door;
    const Now lost_at{noon - Seconds{900}, Seconds{5000}};  // the clock is behind, and then set right
    char folder[] = "/tmp/oneknock-decider-XXXXXX";
    REQUIRE(mkdtemp(folder) != nullptr);
    auto lost = Record::open(std::string(folder) + "/", door.id, lost_at, Seconds{60});
    REQUIRE(lost);
    Decider decider(Verifier(door.keyring()), std::move(*lost), *Audit::open("", noon), Limits{});
    decider.verifier().set_epochs({epoch_of(noon)});
    const auto decide = [&](const Candidate& candidate, const Now& now) {
        const auto decision = decider.decide_and_record({candidate}, now)[0];
        return decision.refused ? std::string(reason_name(*decision.refused)) : "accepted";
    };
    const auto knock = door.candidate(door.request(noon));  // perhaps used before the loss
    CHECK(decide(knock, {noon, Seconds{5001}}) == "record-lost");
    CHECK(decide(knock, {noon + Seconds{60}, Seconds{5120}}) == "replayed");  // it was recorded
    CHECK(decide(door.candidate(door.request(noon + Seconds{60})), {noon + Seconds{60}, Seconds{5120}}) ==
          "record-lost");
    CHECK(decide(door.candidate(door.request(noon + Seconds{61})), {noon + Seconds{61}, Seconds{5121}}) == "accepted");
    std::filesystem::remove_all(folder);
}

TEST_CASE("a client may knock often, but not without end") {
    Door1 door;
    auto decider = door.decider();
    int accepted = 0;
    for (int i = 0; i < 1100; ++i) accepted += outcome(decider, door.candidate(door.request())) == "accepted";
    CHECK(accepted == 1000);
}

TEST_CASE("a client that knocks beyond its share or its rate fills neither the audit nor the disk") {
    Door1 door;
    auto decider = door.decider();
    Record& record = decider.record();
    Request ahead = door.request(noon + Seconds{600});  // refused, and fresh each time
    const auto next = [&] {
        fill_random(ahead.nonce);
        return door.candidate(ahead);
    };
    for (std::size_t i = 0; i < Record::most_tags_per_client + 1000; ++i) CHECK(outcome(decider, next()) == "future");
    CHECK(record.tags_of("alice") == Record::most_tags_per_client);
    CHECK(decider.audit().lines_of("alice") == 1000);  // the burst
    CHECK(record.client_floor("alice") == noon + Seconds{60});
    CHECK(outcome(decider, next(), noon + Seconds{10}) == "future");
    CHECK(record.client_floor("alice") == noon + Seconds{70});
    CHECK(decider.audit().lines_of("alice") == 1000);
}

TEST_CASE("a message of years ahead leaves nothing that a clock which jumps there could lock others out with") {
    Door1 door;
    auto decider = door.decider();
    const Epoch live = epoch_of(noon);
    const Request far = door.request(UnixTime{Seconds{4'000'000'000}});
    Candidate candidate = door.candidate(far);
    candidate.epoch = live.value;
    candidate.message =
        seal(far, derive_message_keys(door.alice), door.id, hint_for(derive_hint_key(door.alice), live));
    CHECK(outcome(decider, candidate) == "wrong-epoch");
    CHECK_FALSE(decider.record().has_tags());
    CHECK_FALSE(decider.record().prune(UnixTime{Seconds{4'000'001'000}}, Seconds{60}));
    CHECK(decider.record().floor() == UnixTime{});
}

TEST_CASE("tags are forgotten only behind the floor, and a clock that jumped ahead locks nobody out") {
    Door1 door;
    auto decider = door.decider();
    Record& record = decider.record();
    const auto knock = door.candidate(door.request());
    CHECK(outcome(decider, knock) == "accepted");
    CHECK_FALSE(record.prune(noon + Seconds{60}, Seconds{60}));
    CHECK(record.holds(knock.message.tag(), noon));
    CHECK(record.floor() == UnixTime{});

    const UnixTime far = noon + Seconds{10'000'000};
    CHECK_FALSE(record.prune(far, Seconds{60}));  // the clock jumps months ahead
    CHECK_FALSE(record.holds(knock.message.tag(), noon));
    CHECK(record.floor() == noon);
    CHECK(outcome(decider, knock, noon + Seconds{1}) == "replayed");  // and back again
    CHECK(outcome(decider, door.candidate(door.request(noon + Seconds{1})), noon + Seconds{1}) == "accepted");
}

TEST_CASE("a million random messages verify under no key") {
    Door1 door;
    auto decider = door.decider();
    Candidate candidate = door.candidate(door.request());
    int verified = 0;
    for (int i = 0; i < test::trials(1'000'000); ++i) {
        fill_random(std::span(candidate.message.bytes).first(candidate.message.length()));
        verified += decider.verifier().verify(candidate.message, Epoch{candidate.epoch}).empty() ? 0 : 1;
    }
    CHECK(verified == 0);
}

TEST_CASE("a key that two files hold opens only what both let it open, whichever of them it is that is stricter") {
    struct Row {
        std::function<void(Client&)> copy;
        const char* outcome;
        bool lets;  // what was opened stays open
    };
    const Row rows[] = {
        {[](Client&) {}, "accepted", true},
        {[](Client& c) { c.revoked = true; }, "key-revoked", false},
        {[](Client& c) { c.expires = noon - Seconds{1}; }, "key-expired", false},
        {[](Client& c) { c.allow = {"dns"}; }, "service-not-allowed", false},
        {[](Client& c) { c.allow.clear(); }, "service-not-allowed", false},
        {[](Client& c) { c.source = *SourcePolicy::parse("198.51.100.0/24"); }, "accepted", true},
        {[](Client& c) { c.generations.back().not_after = noon - Seconds{1}; }, "key-expired", true},
        {[](Client& c) { c.max_duration = Seconds{7}; }, "accepted", true},
    };
    for (const Row& row : rows)
        for (const char* name : {"aaa-copy", "zzz-copy"})
            for (const bool original_is_stricter : {false, true}) {
                Door1 door;
                Keyring keyring = door.keyring(original_is_stricter ? row.copy : nullptr);
                Client copy = std::move(door.keyring(original_is_stricter ? nullptr : row.copy).clients[0]);
                copy.name = name;
                keyring.clients.push_back(std::move(copy));
                Decider decider = door.decider();
                KeyChange change = change_to(std::move(keyring));
                change.door.reset();
                decider.change_keys(change);
                CAPTURE(name, row.outcome, &row - rows, original_is_stricter);
                const Service ssh{protocol_tcp, 22};
                CHECK((decider.longest_for("alice", ssh, noon) > Seconds{0}) == row.lets);
                CHECK((decider.longest_for(name, ssh, noon) > Seconds{0}) == row.lets);
                const auto decisions = decider.decide_and_record({door.candidate(door.request())}, at(noon));
                CHECK((decisions[0].refused ? reason_name(*decisions[0].refused) : "accepted") == row.outcome);
                if (&row - rows == 7) CHECK(decisions[0].duration == Seconds{7});
                if (&row - rows == 7) CHECK(decider.longest_for(name, ssh, noon) == Seconds{7});
                CHECK(decider.in_force().sharing.size() == 2);

                KeyChange away;
                away.gone.insert(name);
                decider.change_keys(away);
                CHECK(decider.in_force().sharing.empty());
            }
}

TEST_CASE("an older copy of a client's file does not bring back a key that was rotated away") {
    Door1 door;
    Decider decider = door.decider();
    REQUIRE(outcome(decider, door.candidate(door.request())) == "accepted");  // with generation 2
    const auto restore = [&] {
        Client old = std::move(door.keyring().clients[0]);
        old.generations.pop_back();
        old.generations[0].not_after.reset();
        KeyChange change;
        change.clients.emplace("alice", decider.prepare(std::move(old)));
        decider.change_keys(change);
    };
    restore();
    CHECK(decider.in_force().outdated == std::set<std::string>{"alice"});
    const Seconds usual = default_overlap;  // no grace is configured
    const auto knock = [&](UnixTime now) {
        return outcome(decider, door.candidate(door.request(now), door.old_alice), now);
    };
    CHECK(knock(noon + Seconds{20}) == "accepted");
    CHECK(decider.verifier().keyring().clients[0].generations[0].not_after == noon + usual);

    KeyChange change;
    change.clients.emplace("alice", decider.prepare(std::move(door.keyring().clients[0])));
    decider.change_keys(change);
    CHECK(decider.in_force().outdated.empty());
    CHECK(outcome(decider, door.candidate(door.request(noon + Seconds{31})), noon + Seconds{31}) == "accepted");
}
