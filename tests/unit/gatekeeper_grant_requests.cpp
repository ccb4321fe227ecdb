// What the firewall is asked, in which order, and what is noted: with a channel whose other end is the test.
#include "server/gatekeeper/grants/grant_requests.hpp"

#include <filesystem>
#include <fstream>
#include <string>

#include "common/bytes.hpp"
#include "tests/catch.hpp"
#include "tests/unit/file_size_limit.hpp"

using namespace oneknock;

namespace {

const Address home = *Address::parse("192.0.2.7");
const Address elsewhere = *Address::parse("198.51.100.9");
constexpr Instant now = Seconds{1000};

const Service ssh{protocol_tcp, 22};

struct Desk {
    explicit Desk(const std::string& record_in = "")
        : record(*Record::open(record_in, DoorId{}, {UnixTime{Seconds{1'800'001'800}}, now}, Seconds{60})) {}

    std::pair<Channel, Channel> channel = std::move(*Channel::make_pair());
    Record record;
    Seconds allowed{3600};
    GrantRequests desk{channel.first, record, [this](const auto&, const auto&) { return allowed; }};
    std::uint8_t tags = 0;

    // As the decider does: into the record, then asked for.
    [[nodiscard]] bool open(const std::string& client, const Address& address, Seconds duration = Seconds{30}) {
        Decision decision = decided(client, address, Operation::open);
        decision.ended_before = record.grants().end_of(decision.grant(), now);
        decision.ends = std::max(now + duration, decision.ended_before.value_or(now));
        record.begin();
        record.add_tag_and_grant(Tag{{++tags}}, UnixTime{}, decision.grant(), decision.ends, now);
        REQUIRE(record.commit());
        return desk.request(decision, {}, now);
    }
    [[nodiscard]] bool close(const std::string& client, const Address& address) {
        Decision decision = decided(client, address, Operation::close);
        decision.ended_before = record.grants().end_of(decision.grant(), now);
        record.begin();
        record.close(decision.grant(), UnixTime{}, now);
        REQUIRE(record.commit());
        return desk.request(decision, {}, now);
    }
    static Decision decided(const std::string& client, const Address& address, Operation operation) {
        Decision decision;
        decision.client = client;
        decision.address = address;
        decision.request.operation = static_cast<std::uint8_t>(operation);
        decision.request.port = 22;
        return decision;
    }
    // What the firewall has been asked and not read yet.
    std::vector<GrantRequest> asked() {
        std::vector<GrantRequest> all;
        Datagram datagram;
        while (channel.second.receive(datagram) == Channel::Received::datagram)
            all.push_back(datagram.as<GrantRequest>().value());
        return all;
    }
    std::size_t count() { return record.grants().live(now).size(); }
    [[nodiscard]] Instant end(const std::string& client, const Address& address) {
        return record.grants().end_of({ssh, address, client}, now).value_or(Instant{});
    }
    static GrantReply reply(RequestId id, int error) {
        GrantReply reply;
        reply.id = id;
        reply.error = error;
        return reply;
    }
    auto knock_done(RequestId id, int error = 0) { return desk.answer_to_knock(reply(id, error), now); }
    auto close_done(RequestId id, int error = 0) { return desk.answer_to_close(reply(id, error), now); }
};

}  // namespace

TEST_CASE("a knock asks the firewall once, and is told its answer once") {
    Desk d;
    REQUIRE(d.open("alice", home));
    const auto open = d.asked();
    REQUIRE(open.size() == 1);
    CHECK(open[0].operation == Operation::open);
    CHECK(open[0].duration_ms == 30'000);
    CHECK(d.knock_done(open[0].id)->decision.client == "alice");
    CHECK_FALSE(d.knock_done(open[0].id));
    CHECK(d.end("alice", home) == now + Seconds{30});
    REQUIRE(d.close("alice", home));
    CHECK(d.asked().at(0).operation == Operation::close);
    CHECK(d.count() == 0);
}

TEST_CASE("a grant that the firewall opened behind its end was not opened") {
    Desk d;
    REQUIRE(d.open("alice", home));
    const auto asked = d.asked().at(0);
    CHECK(Instant{asked.asked_ns} == now);
    GrantReply in_time = Desk::reply(asked.id, 0), late = in_time;
    in_time.done_ns = (now + Seconds{29}).count();
    late.done_ns = (now + Seconds{30}).count();
    CHECK(d.desk.answer_to_knock(in_time, now + Seconds{29})->error == 0);
    REQUIRE(d.open("alice", home));
    late.id = d.asked().at(0).id;
    CHECK(d.desk.answer_to_knock(late, now + Seconds{30})->error == ETIME);
}

TEST_CASE("opening for a shorter time does not shorten, for whomever") {
    Desk d;
    REQUIRE(d.open("alice", home, Seconds{60}));
    REQUIRE(d.open("alice", home, Seconds{5}));
    REQUIRE(d.open("bob", home, Seconds{1}));
    for (const auto& request : d.asked()) CHECK(request.duration_ms == 60'000);
    CHECK(d.end("bob", home) == now + Seconds{1});
}

TEST_CASE("a close ends one's own grant; the element lasts until the latest of the others'") {
    Desk d;
    REQUIRE(d.open("alice", home, Seconds{60}));
    REQUIRE(d.open("bob", home, Seconds{20}));
    static_cast<void>(d.asked());
    REQUIRE(d.close("carol", home));  // who holds none
    CHECK(d.asked().at(0).duration_ms == 60'000);
    REQUIRE(d.close("alice", home));
    const auto shortened = d.asked();
    CHECK(shortened.at(0).operation == Operation::open);
    CHECK(shortened.at(0).duration_ms == 20'000);
    REQUIRE(d.close("bob", home));
    CHECK(d.asked().at(0).operation == Operation::close);
}

TEST_CASE("what the firewall refused is taken back, and what was before is there again") {
    Desk d;
    REQUIRE(d.open("alice", home));
    CHECK(d.knock_done(d.asked().at(0).id, ENFILE));
    CHECK(d.count() == 0);
    REQUIRE(d.open("alice", home, Seconds{10}));
    CHECK(d.knock_done(d.asked().at(0).id));
    REQUIRE(d.open("alice", home, Seconds{50}));
    CHECK(d.knock_done(d.asked().at(0).id, EIO));
    CHECK(d.end("alice", home) == now + Seconds{10});
    REQUIRE(d.close("alice", home));
    CHECK(d.knock_done(d.asked().at(0).id, EIO));
    CHECK(d.end("alice", home) == now + Seconds{10});  // it may be open still
}

TEST_CASE("what a refused request would have changed stays as something later left it") {
    Desk d;
    REQUIRE(d.open("alice", home, Seconds{10}));
    const auto first = d.asked().at(0).id;
    REQUIRE(d.open("alice", home, Seconds{50}));
    CHECK(d.knock_done(first, EIO));
    CHECK(d.end("alice", home) == now + Seconds{50});
    CHECK(d.desk.revoke("alice", 7, now) == 1);
    CHECK(d.knock_done(d.asked().at(0).id, EIO));
    CHECK(d.count() == 0);
}

TEST_CASE("a request for which there is no room is refused, and what it was for taken back") {
    Desk d;
    std::size_t sent = 0;
    while (sent < 10'000 && d.open("alice", Address::ipv4(static_cast<std::uint32_t>(sent % 1000)))) ++sent;
    REQUIRE(sent < 10'000);
    REQUIRE_FALSE(d.open("bob", home));
    CHECK(d.end("bob", home) == Instant{});
}

TEST_CASE("a grant that may be open, since the kernel did not answer in time, can be revoked") {
    Desk d;
    REQUIRE(d.open("alice", home));
    CHECK(d.knock_done(d.asked().at(0).id, ETIMEDOUT));
    CHECK(d.count() == 1);
    CHECK(d.desk.revoke("alice", 7, now) == 1);
    CHECK(d.asked().at(0).operation == Operation::close);
}

TEST_CASE("a grant that could not be closed is listed again, and can be closed once more") {
    Desk d;
    REQUIRE(d.open("alice", home));
    REQUIRE(d.knock_done(d.asked().at(0).id));
    CHECK(d.desk.revoke("alice", 7, now) == 1);
    CHECK(d.count() == 0);
    CHECK(d.close_done(d.asked().at(0).id, ETIMEDOUT)->failed);
    CHECK(d.end("alice", home) == now + Seconds{30});
    d.allowed = Seconds{0};
    CHECK(d.desk.close_what_is_no_longer_allowed(now) == 1);
    CHECK_FALSE(d.close_done(d.asked().at(0).id, EIO));
    CHECK(d.count() == 1);
    CHECK(d.desk.revoke("", 8, now) == 1);
    CHECK_FALSE(d.close_done(d.asked().at(0).id)->failed);
    CHECK(d.count() == 0);
}

TEST_CASE("a grant that could not be closed, and was opened anew meanwhile, is listed until its later end") {
    Desk d;
    REQUIRE(d.open("alice", home, Seconds{10}));
    REQUIRE(d.knock_done(d.asked().at(0).id));
    REQUIRE(d.desk.revoke("alice", 7, now) == 1);
    const auto close = d.asked().at(0);
    REQUIRE(d.open("alice", home, Seconds{50}));
    CHECK(d.close_done(close.id, ENOBUFS)->failed);
    CHECK(d.end("alice", home) == now + Seconds{50});
}

TEST_CASE("revoking closes a grant that is on its way, behind it") {
    for (const char* whom : {"alice", ""}) {
        Desk d;
        REQUIRE(d.open("alice", home));
        CHECK(d.desk.revoke(whom, 7, now) == 1);
        const auto asked = d.asked();
        REQUIRE(asked.size() == 2);
        CHECK(asked[0].operation == Operation::open);
        CHECK(asked[1].operation == Operation::close);
        CHECK(asked[1].address == home);
        CHECK(d.knock_done(asked[0].id));
        CHECK(d.count() == 0);
        const auto revoked = d.close_done(asked[1].id);
        REQUIRE(revoked);
        CHECK(revoked->waiter == 7);
        CHECK(revoked->closed == 1);
        CHECK_FALSE(revoked->failed);
        CHECK(revoked->recorded);
    }
}

TEST_CASE("UDP flows outlive their grants until they are taken away, those of each client for itself") {
    Desk d;
    d.record = *Record::open("", DoorId{}, {UnixTime{Seconds{1'800'001'800}}, now}, Seconds{60}, {}, Seconds{600});
    const Service vpn{protocol_udp, 51820};
    d.record.begin();
    d.record.add_tag_and_grant(Tag{{1}}, UnixTime{}, {vpn, home, "alice"}, now + Seconds{30}, now);
    d.record.add_tag_and_grant(Tag{{2}}, UnixTime{}, {vpn, home, "bob"}, now + Seconds{90}, now);
    REQUIRE(d.record.commit());
    const Instant later = now + Seconds{100};  // both have ended
    d.desk.begin_adoption(later);
    Datagram datagram;
    REQUIRE(d.channel.second.receive(datagram) == Channel::Received::datagram);
    const auto recorded = datagram.as<RecordedGrant>();
    REQUIRE(recorded);
    CHECK(recorded->remaining_ms == 0);
    CHECK(recorded->flows_ms == 590'000);
    d.desk.end_adoption(later);  // it is no grant that could be adopted
    CHECK(d.desk.revoke("bob", 7, later) == 1);
    const auto shortened = d.asked().at(0);
    CHECK(shortened.operation == Operation::open);
    CHECK(shortened.duration_ms == 0);
    CHECK(shortened.flows_ms == 530'000);
    d.allowed = Seconds{0};
    CHECK(d.desk.close_what_is_no_longer_allowed(later) == 1);
    CHECK(d.asked().at(0).operation == Operation::close);
    CHECK(d.record.grants().remembered(later).empty());
}

TEST_CASE(
    "a client that begins UDP flows at more addresses than its share gives up what ends first, and nobody else does") {
    Desk d;
    d.record = *Record::open("", DoorId{}, {UnixTime{Seconds{1'800'001'800}}, now}, Seconds{60}, {}, Seconds{600});
    const Service vpn{protocol_udp, 51820};
    std::uint8_t tag = 0;
    const auto hold = [&](const ClientGrant& grant, Seconds duration) {
        d.record.begin();
        d.record.add_tag_and_grant(Tag{{++tag}}, UnixTime{}, grant, now + duration, now);
        REQUIRE(d.record.commit());
        return d.desk.end_displaced(grant, now);
    };
    const auto at = [](std::uint32_t number) { return Address::ipv4(0x0a000000 + number); };
    for (std::uint32_t i = 0; i < 8; ++i) CHECK(hold({vpn, at(i), "alice"}, Seconds{i == 5 ? 10 : 100 + i}).empty());
    CHECK(hold({vpn, *Address::parse("2001:db8::7"), "alice"}, Seconds{1}).empty());
    CHECK(hold({ssh, at(20), "alice"}, Seconds{1}).empty());
    CHECK(hold({vpn, at(20), "bob"}, Seconds{1}).empty());
    CHECK(d.asked().empty());
    // The new one ends first of all, and is not what is given up.
    CHECK(hold({vpn, at(9), "alice"}, Seconds{1}) == std::vector{ClientGrant{vpn, at(5), "alice"}});
    const auto asked = d.asked();
    REQUIRE(asked.size() == 1);
    CHECK(asked[0].address == at(5));
    CHECK(asked[0].operation == Operation::close);
    CHECK_FALSE(d.close_done(asked[0].id));
    CHECK_FALSE(d.record.grants().noted_end({vpn, at(5), "alice"}, now));
    CHECK(hold({vpn, at(9), "alice"}, Seconds{200}).empty());
    CHECK(d.record.grants().size() == 11);
}

TEST_CASE("revoking leaves the grants of others, on the same address as well") {
    Desk d;
    REQUIRE(d.open("alice", home, Seconds{60}));
    REQUIRE(d.open("alice", elsewhere));
    REQUIRE(d.open("bob", home, Seconds{20}));
    for (const auto& request : d.asked()) REQUIRE(d.knock_done(request.id));
    CHECK(d.desk.revoke("alice", 7, now) == 2);
    const auto asked = d.asked();
    REQUIRE(asked.size() == 2);
    CHECK(asked[0].operation == Operation::open);
    CHECK(asked[0].address == home);
    CHECK(asked[0].duration_ms == 20'000);
    CHECK(asked[1].operation == Operation::close);
    CHECK(asked[1].address == elsewhere);
    CHECK(d.end("bob", home) == now + Seconds{20});
    CHECK(d.count() == 1);
    CHECK(d.desk.revoke("carol", 8, now) == 0);
}

TEST_CASE("a revocation is complete with its last answer, and says if one was a refusal") {
    Desk d;
    for (const char* client : {"alice", "bob"})
        for (const Address& address : {home, elsewhere}) REQUIRE(d.open(client, address));
    for (const auto& request : d.asked()) REQUIRE(d.knock_done(request.id));
    CHECK(d.desk.revoke("", 7, now) == 4);
    const auto asked = d.asked();
    REQUIRE(asked.size() == 2);  // one for each address
    CHECK_FALSE(d.close_done(asked[0].id, EIO));
    CHECK(d.count() == 2);
    const auto revoked = d.close_done(asked[1].id);
    REQUIRE(revoked);
    CHECK(revoked->failed);
    CHECK(revoked->closed == 4);
    CHECK_FALSE(d.close_done(asked[1].id));
}

TEST_CASE("a revocation that could not be written down closes all the same, and says so") {
    std::string folder = (std::filesystem::temp_directory_path() / "oneknock-grants-XXXXXX").string();
    REQUIRE(mkdtemp(folder.data()) != nullptr);
    std::ofstream(folder + "/new-door") << to_hex(DoorId{}.bytes) << "\n";
    Desk d{folder + "/"};
    REQUIRE(d.open("alice", home));
    REQUIRE(d.open("alice", elsewhere));
    REQUIRE(d.asked().size() == 2);
    const FileSizeLimit nothing(0);
    CHECK(d.desk.revoke("alice", 7, now) == 2);
    nothing.lift();
    CHECK(d.count() == 0);
    const auto asked = d.asked();
    REQUIRE(asked.size() == 2);
    CHECK(asked[0].operation == Operation::close);
    CHECK_FALSE(d.close_done(asked[0].id));
    const auto revoked = d.close_done(asked[1].id);
    REQUIRE(revoked);
    CHECK_FALSE(revoked->failed);
    CHECK_FALSE(revoked->recorded);
    std::filesystem::remove_all(folder);
}

TEST_CASE("what the keys do not allow any more is closed, live or on its way") {
    Desk d;
    REQUIRE(d.open("alice", home));
    REQUIRE(d.knock_done(d.asked().at(0).id));
    REQUIRE(d.open("alice", elsewhere));
    const auto on_its_way = d.asked().at(0).id;
    d.allowed = Seconds{0};
    CHECK(d.desk.close_what_is_no_longer_allowed(now) == 2);
    REQUIRE(d.knock_done(on_its_way));
    CHECK(d.asked().size() == 2);
    CHECK(d.count() == 0);
}

TEST_CASE("of earlier runs that lives which the record, the kernel and the keys in force agree on") {
    Desk d;
    REQUIRE(d.open("alice", home, Seconds{60}));
    REQUIRE(d.open("bob", home, Seconds{20}));
    REQUIRE(d.open("bob", elsewhere));
    static_cast<void>(d.asked());
    GrantRequests next{d.channel.first, d.record,
                       [](const auto& client, const auto&) { return Seconds{client == "bob" ? 0 : 3600}; }};
    next.begin_adoption(now);
    Datagram datagram;
    REQUIRE(d.channel.second.receive(datagram) == Channel::Received::datagram);
    const auto told = datagram.as<RecordedGrant>();
    REQUIRE(told);
    CHECK(told->address == home);
    CHECK(told->remaining_ms == 60'000);
    CHECK(d.channel.second.receive(datagram) == Channel::Received::nothing);
    AdoptedGrant adopted;
    adopted.service = ssh;
    adopted.address = home;
    adopted.remaining_ms = 9000;
    next.adopt(adopted, now);
    next.end_adoption(now);
    CHECK(d.end("alice", home) == now + Seconds{9});
    CHECK(d.count() == 1);
}

TEST_CASE("no grant of an earlier run lasts longer than a grant may by now") {
    Desk d;
    REQUIRE(d.open("alice", home, Seconds{600}));
    REQUIRE(d.open("bob", home, Seconds{700}));
    REQUIRE(d.open("bob", elsewhere, Seconds{20}));
    static_cast<void>(d.asked());
    d.allowed = Seconds{60};
    d.desk.begin_adoption(now);
    Datagram datagram;
    for (const std::uint32_t remaining : {60'000U, 20'000U}) {
        REQUIRE(d.channel.second.receive(datagram) == Channel::Received::datagram);
        const auto told = datagram.as<RecordedGrant>();
        REQUIRE(told);
        CHECK(told->remaining_ms == remaining);
    }
    CHECK(d.desk.revoke("alice", 7, now) == 1);
    CHECK(d.asked().at(0).duration_ms == 60'000);  // bob's, as the parent lets it be
}

TEST_CASE("what is open for longer than its client may open it by now becomes shorter") {
    Desk d;
    REQUIRE(d.open("alice", home, Seconds{600}));
    REQUIRE(d.open("bob", elsewhere, Seconds{20}));
    static_cast<void>(d.asked());
    d.allowed = Seconds{60};
    CHECK(d.desk.close_what_is_no_longer_allowed(now) == 0);
    const auto asked = d.asked();
    REQUIRE(asked.size() == 1);
    CHECK(asked[0].address == home);
    CHECK(asked[0].duration_ms == 60'000);
    CHECK(d.end("alice", home) == now + Seconds{60});
    CHECK_FALSE(d.close_done(asked[0].id));
}

TEST_CASE("what the kernel has no more is not listed, unless it was asked for anew") {
    Desk d;
    REQUIRE(d.open("alice", home));
    REQUIRE(d.open("bob", elsewhere));
    d.desk.begin_adoption(now);
    REQUIRE(d.open("bob", elsewhere));
    d.desk.end_adoption(now);
    CHECK(d.count() == 1);
    CHECK(d.end("bob", elsewhere) == now + Seconds{30});
}

TEST_CASE("what was refused, and asked for again by a later request on its way, is open if that is done") {
    for (const char* other : {"alice", "bob"}) {
        for (const int error : {0, EIO}) {
            Desk d;
            REQUIRE(d.open("alice", home, Seconds{50}));
            REQUIRE(d.open(other, home, Seconds{10}));
            const auto asked = d.asked();
            CHECK(asked.at(1).duration_ms == 50'000);
            CHECK(d.knock_done(asked[0].id, EIO)->error == EIO);
            CHECK(d.knock_done(asked[1].id, error)->error == error);
            CHECK(d.end("alice", home) == (error == 0 ? now + Seconds{50} : Instant{}));
        }
    }
}

TEST_CASE("a grant that was not closed, nor opened anew behind that, may be open until its first end") {
    for (const int error : {EIO, ETIMEDOUT}) {
        Desk d;
        REQUIRE(d.open("alice", home, Seconds{50}));
        REQUIRE(d.knock_done(d.asked().at(0).id));
        REQUIRE(d.close("alice", home));
        REQUIRE(d.open("alice", home, Seconds{10}));
        for (const auto& request : d.asked()) CHECK(d.knock_done(request.id, error)->error == error);
        CHECK(d.end("alice", home) == now + Seconds{50});
    }
}

TEST_CASE("what one request of a turn has opened for another that is refused is closed") {
    Desk d;
    Decision close = Desk::decided("bob", home, Operation::close), open = Desk::decided("alice", home, Operation::open);
    open.ends = now + Seconds{30};
    d.record.begin();
    d.record.close(close.grant(), UnixTime{}, now);
    d.record.add_tag_and_grant(Tag{{1}}, UnixTime{}, open.grant(), open.ends, now);
    REQUIRE(d.record.commit());
    REQUIRE(d.desk.request(close, {}, now));
    REQUIRE(d.desk.request(open, {}, now));
    const auto asked = d.asked();
    CHECK(asked.at(0).duration_ms == 30'000);
    REQUIRE(d.knock_done(asked[0].id));
    REQUIRE(d.knock_done(asked[1].id, EPERM));
    const auto behind = d.asked();
    REQUIRE(behind.size() == 1);
    CHECK(behind[0].operation == Operation::close);
    CHECK_FALSE(d.close_done(behind[0].id, EPERM));
    CHECK(d.end("alice", home) == now + Seconds{30});  // it is open still
}

TEST_CASE("revoking waits for what is on its way to be closed") {
    for (const bool by_knock : {false, true}) {
        Desk d;
        REQUIRE(d.open("alice", home));
        REQUIRE(d.knock_done(d.asked().at(0).id));
        if (by_knock) REQUIRE(d.close("alice", home));
        else REQUIRE(d.desk.revoke("alice", 7, now) == 1);
        CHECK(d.desk.revoke("bob", 8, now) == 0);
        CHECK(d.desk.revoke("alice", 9, now) == 1);
        const auto asked = d.asked();
        REQUIRE(asked.size() == 2);
        if (by_knock) REQUIRE(d.knock_done(asked[0].id, EIO));
        else REQUIRE(d.close_done(asked[0].id, EIO)->failed);
        CHECK_FALSE(d.close_done(asked[1].id)->failed);
        CHECK(d.count() == 0);
    }
}

TEST_CASE("a grant that could not be made shorter is listed for as long as it is open") {
    Desk d;
    REQUIRE(d.open("alice", home, Seconds{600}));
    REQUIRE(d.knock_done(d.asked().at(0).id));
    d.allowed = Seconds{60};
    CHECK(d.desk.close_what_is_no_longer_allowed(now) == 0);
    CHECK_FALSE(d.close_done(d.asked().at(0).id, EIO));
    CHECK(d.end("alice", home) == now + Seconds{600});
    CHECK(d.desk.close_what_is_no_longer_allowed(now) == 0);
    CHECK_FALSE(d.close_done(d.asked().at(0).id));
    CHECK(d.end("alice", home) == now + Seconds{60});
}

TEST_CASE("UDP flows that were admitted when the grant's time was over can be ended") {
    Desk d;
    d.record = *Record::open("", DoorId{}, {UnixTime{Seconds{1'800'001'800}}, now}, Seconds{60}, {}, Seconds{600});
    Decision decision = Desk::decided("alice", home, Operation::open);
    decision.request.protocol = protocol_udp;
    decision.ends = now + Seconds{1};
    d.record.begin();
    d.record.add_tag_and_grant(Tag{{1}}, UnixTime{}, decision.grant(), decision.ends, now);
    REQUIRE(d.record.commit());
    REQUIRE(d.desk.request(decision, {}, now));
    GrantReply late = Desk::reply(d.asked().at(0).id, 0);
    late.done_ns = (now + Seconds{2}).count();
    CHECK(d.desk.answer_to_knock(late, now + Seconds{2})->error == ETIME);
    CHECK(d.desk.revoke("alice", 7, now + Seconds{2}) == 1);
    CHECK(d.asked().at(0).operation == Operation::close);
}

TEST_CASE("what was revoked while earlier grants are adopted is not remembered") {
    Desk d;
    d.record = *Record::open("", DoorId{}, {UnixTime{Seconds{1'800'001'800}}, now}, Seconds{60}, {}, Seconds{600});
    const ClientGrant vpn{{protocol_udp, 51820}, home, "alice"};
    d.record.begin();
    d.record.add_tag_and_grant(Tag{{1}}, UnixTime{}, vpn, now + Seconds{30}, now);
    REQUIRE(d.record.commit());
    d.desk.begin_adoption(now);
    CHECK(d.desk.revoke("alice", 7, now) == 1);
    d.desk.end_adoption(now);
    CHECK(d.record.grants().remembered(now).empty());
}

TEST_CASE("a grant that could not be closed is listed, though the client's share has been filled meanwhile") {
    Desk d;
    HeldGrants& grants = d.record.grants();
    REQUIRE(d.open("alice", home));
    REQUIRE(d.knock_done(d.asked().at(0).id));
    REQUIRE(d.close("alice", home));
    const auto close = d.asked().at(0).id;
    for (std::uint32_t i = 0; i < HeldGrants::most_per_client; ++i)
        grants.put({ssh, Address::ipv4(0x0a000000 + i), "alice"}, now + Seconds{30}, now);
    REQUIRE_FALSE(grants.has_room_for({ssh, home, "alice"}, now));
    REQUIRE(d.knock_done(close, EIO));
    CHECK(d.end("alice", home) == now + Seconds{30});
}

TEST_CASE("what is asked for while earlier grants are adopted lasts no longer than those that are left") {
    Desk d;
    REQUIRE(d.open("bob", home, Seconds{600}));
    static_cast<void>(d.asked());
    GrantRequests next{d.channel.first, d.record, [](const auto&, const auto&) { return Seconds{3600}; }};
    next.begin_adoption(now);
    Datagram datagram;
    REQUIRE(d.channel.second.receive(datagram) == Channel::Received::datagram);
    Decision open = Desk::decided("alice", home, Operation::open);
    open.ends = now + Seconds{30};
    d.record.grants().put(open.grant(), open.ends, now);
    REQUIRE(next.request(open, {}, now));
    CHECK(d.asked().at(0).duration_ms == 600'000);
    next.end_adoption(now);  // the kernel has not got bob's
    const auto asked = d.asked();
    REQUIRE(asked.size() == 1);
    CHECK(asked[0].duration_ms == 30'000);
}
