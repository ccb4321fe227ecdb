// What the firewall is asked, in which order, and what is noted: with a channel whose other end is the test.
#include "server/gatekeeper/grants/grant_requests.hpp"

#include "tests/catch.hpp"

using namespace oneknock;

namespace {

const Address home = *Address::parse("192.0.2.7");
const Address elsewhere = *Address::parse("198.51.100.9");
constexpr Instant now = Seconds{1000};

Decision accepted(const std::string& client, const Address& address, Operation operation = Operation::open) {
    Decision decision;
    decision.client = client;
    decision.address = address;
    decision.request.operation = static_cast<std::uint8_t>(operation);
    decision.request.port = 22;
    decision.duration = Seconds{30};
    return decision;
}

struct Desk {
    std::pair<Channel, Channel> channel = std::move(*Channel::make_pair());
    bool allowed = true;
    GrantRequests desk{channel.first, [this](const auto&, const auto&) { return allowed; }};

    // What the firewall has been asked and not read yet.
    std::vector<GrantRequest> asked() {
        std::vector<GrantRequest> all;
        Datagram datagram;
        while (channel.second.receive(datagram) == Channel::Received::datagram)
            all.push_back(datagram.as<GrantRequest>().value());
        return all;
    }
    // A grant of an earlier run; of nobody: the audit does not know.
    void adopt(const std::string& client, const Service& service, const Address& address) {
        const UnixTime noon{Seconds{1'800'001'800}};
        Record record = *Record::open("", DoorId{}, noon, Seconds{60});
        AuditEntry entry{noon, client, 1, address, address, {}, Seconds{30}, "accepted", ""};
        entry.request.protocol = service.protocol;
        entry.request.port = service.port;
        record.begin();
        if (!client.empty()) record.audit(entry);
        REQUIRE(record.commit());
        AdoptedGrant adopted;
        adopted.service = service;
        adopted.address = address;
        adopted.remaining_s = 9;
        desk.adopt(adopted, record, {noon + Seconds{21}, now});
        desk.forget_holders(now + Seconds{2});
    }
    auto knock_done(RequestId id, int error = 0) {
        GrantReply reply;
        reply.id = id;
        reply.error = error;
        return desk.answer_to_knock(reply, now);
    }
    auto close_done(RequestId id, int error = 0) {
        GrantReply reply;
        reply.id = id;
        reply.error = error;
        return desk.answer_to_close(reply, now);
    }
};

}  // namespace

TEST_CASE("a grant is noted when the firewall has made it, and a close takes the note away") {
    Desk d;
    REQUIRE(d.desk.request(accepted("alice", home), {}));
    const auto open = d.asked();
    REQUIRE(open.size() == 1);
    CHECK(open[0].duration_s == 30);
    CHECK(d.desk.count(now) == 0);
    CHECK(d.knock_done(open[0].id)->decision.client == "alice");
    CHECK_FALSE(d.knock_done(open[0].id));
    CHECK(d.desk.live(now).at(0).deadline == now + Seconds{30});
    REQUIRE(d.desk.request(accepted("alice", home, Operation::close), {}));
    REQUIRE(d.knock_done(d.asked().at(0).id));
    CHECK(d.desk.count(now) == 0);
}

TEST_CASE("a grant that the firewall refused is not noted") {
    Desk d;
    REQUIRE(d.desk.request(accepted("alice", home), {}));
    CHECK(d.knock_done(d.asked().at(0).id, ENFILE));
    CHECK(d.desk.count(now) == 0);
}

TEST_CASE("a grant that may be open, since the kernel did not answer in time, can be revoked") {
    Desk d;
    REQUIRE(d.desk.request(accepted("alice", home), {}));
    CHECK(d.knock_done(d.asked().at(0).id, ETIMEDOUT));
    CHECK(d.desk.live(now).at(0).client == "alice");
    CHECK(d.desk.revoke("alice", 7, now) == 1);
    CHECK(d.asked().at(0).operation == Operation::close);
}

TEST_CASE("a grant that could not be closed is listed again, and can be closed once more") {
    Desk d;
    d.adopt("alice", {protocol_tcp, 22}, home);
    CHECK(d.desk.revoke("alice", 7, now) == 1);
    CHECK(d.desk.count(now) == 0);
    CHECK(d.close_done(d.asked().at(0).id, ETIMEDOUT)->failed);
    CHECK(d.desk.live(now).at(0).deadline == now + Seconds{9});
    d.allowed = false;
    CHECK(d.desk.close_what_is_no_longer_allowed(now) == 1);
    CHECK_FALSE(d.close_done(d.asked().at(0).id, EIO));
    CHECK(d.desk.count(now) == 1);
    CHECK(d.desk.revoke("", 8, now) == 1);
    CHECK_FALSE(d.close_done(d.asked().at(0).id)->failed);
    CHECK(d.desk.count(now) == 0);
}

TEST_CASE("revoking closes a grant that is on its way, behind it") {
    for (const char* whom : {"alice", ""}) {
        Desk d;
        REQUIRE(d.desk.request(accepted("alice", home), {}));
        CHECK(d.desk.revoke(whom, 7, now) == 1);
        const auto asked = d.asked();
        REQUIRE(asked.size() == 2);
        CHECK(asked[0].operation == Operation::open);
        CHECK(asked[1].operation == Operation::close);
        CHECK(asked[1].address == home);
        CHECK(d.knock_done(asked[0].id));
        CHECK(d.desk.count(now) == 0);
        const auto revoked = d.close_done(asked[1].id);
        REQUIRE(revoked);
        CHECK(revoked->waiter == 7);
        CHECK(revoked->closed == 1);
        CHECK_FALSE(revoked->failed);
    }
}

TEST_CASE("revoking leaves the grants of others, also those on their way") {
    Desk d;
    REQUIRE(d.desk.request(accepted("alice", home), {}));
    REQUIRE(d.desk.request(accepted("bob", elsewhere), {}));
    const auto opens = d.asked();
    REQUIRE(d.knock_done(opens.at(0).id));
    REQUIRE(d.desk.request(accepted("alice", home), {}));  // again, while the first one lives
    CHECK(d.desk.revoke("alice", 7, now) == 1);
    const auto asked = d.asked();
    REQUIRE(asked.size() == 2);
    REQUIRE(d.knock_done(opens.at(1).id));
    REQUIRE(d.knock_done(asked[0].id));
    REQUIRE(d.close_done(asked[1].id));
    CHECK(d.desk.live(now).at(0).client == "bob");
    CHECK(d.desk.count(now) == 1);
    CHECK(d.desk.revoke("carol", 8, now) == 0);
}

TEST_CASE("a revocation is complete with its last answer, and says if one was a refusal") {
    Desk d;
    for (const Address& address : {home, elsewhere}) d.adopt("", {protocol_tcp, 22}, address);
    CHECK(d.desk.revoke("", 7, now) == 2);
    const auto asked = d.asked();
    CHECK_FALSE(d.close_done(asked.at(0).id, EIO));
    const auto revoked = d.close_done(asked.at(1).id);
    REQUIRE(revoked);
    CHECK(revoked->failed);
    CHECK_FALSE(d.close_done(asked.at(1).id));
}

TEST_CASE("what the keys do not allow any more is closed, live, on its way or of an earlier run") {
    Desk d;
    REQUIRE(d.desk.request(accepted("alice", home), {}));
    REQUIRE(d.knock_done(d.asked().at(0).id));
    REQUIRE(d.desk.request(accepted("alice", elsewhere), {}));
    const auto on_its_way = d.asked().at(0).id;
    d.allowed = false;
    CHECK(d.desk.close_what_is_no_longer_allowed(now) == 1);
    REQUIRE(d.knock_done(on_its_way));
    d.adopt("alice", {protocol_udp, 53}, home);
    CHECK(d.asked().size() == 3);
    CHECK(d.desk.count(now) == 0);
    d.adopt("", {protocol_udp, 53}, elsewhere);  // whose, nobody knows
    CHECK(d.desk.count(now) == 1);
}
