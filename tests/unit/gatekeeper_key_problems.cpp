// How long a client whose file is wrong keeps the keys it had.
#include "server/gatekeeper/keys/key_problems.hpp"

#include "tests/catch.hpp"

using namespace oneknock;

namespace {

constexpr Instant start = Seconds{1000};
constexpr Instant time_out = KeyProblems::kept_for;
using Names = std::set<std::string>;

Keyring with(const Names& names) {
    Keyring keyring;
    keyring.door.services = {{"ssh", {6, 22}}};
    for (const std::string& name : names) {
        Client& client = keyring.clients.emplace_back();
        client.name = name;
        client.allow = {"ssh"};
    }
    return keyring;
}

LoadedKeys wrong(const std::string& client, const std::string& text = "cut short") {
    LoadedKeys loaded;
    loaded.wrong[client + ".json"] = {client, text};
    return loaded;
}

LoadedKeys right(const std::string& file) {
    LoadedKeys loaded;
    loaded.right.insert(file);
    return loaded;
}

const Sharing nothing_shared;
const Names none_outdated;

KeyProblems::InForce in_force(const Keyring& keyring, const Sharing& sharing = nothing_shared,
                              const Names& outdated = none_outdated) {
    return {keyring, sharing, outdated};
}

}  // namespace

TEST_CASE("a client whose file is wrong keeps its keys for ten minutes, and is out then") {
    KeyProblems problems;
    problems.take_in(wrong("alice"), with({"alice", "bob"}), start);
    CHECK(problems.next_due() == start + time_out);
    CHECK(problems.take_out(start + time_out - Instant{1}, false).empty());
    CHECK(problems.take_out(start + time_out, false) == Names{"alice"});
    CHECK(problems.take_out(start + time_out, false).empty());
    CHECK_FALSE(problems.next_due());
    CHECK(problems.all().at("alice.json").consequence == "alice is kept out");

    SECTION("and stands there until the file is right") {
        problems.take_in(right("alice.json"), with({"bob"}), start + 2 * time_out);
        CHECK(problems.all().empty());
    }
    SECTION("and gets no more time when it is wrong in another way") {
        problems.take_in(wrong("alice", "empty"), with({"bob"}), start + 2 * time_out);
        CHECK_FALSE(problems.next_due());
    }
}

TEST_CASE("a file that is wrong again and again gives no more time, unless it was right in between") {
    KeyProblems problems;
    const Keyring keyring = with({"alice"});
    problems.take_in(wrong("alice"), keyring, start);
    problems.take_in(wrong("alice", "empty"), keyring, start + Seconds{599});
    CHECK(problems.next_due() == start + time_out);
    problems.take_in(right("bob.json"), keyring, start + Seconds{599});
    CHECK(problems.next_due() == start + time_out);
    problems.take_in(right("alice.json"), keyring, start + Seconds{599});
    CHECK_FALSE(problems.next_due());
    problems.take_in(wrong("alice"), keyring, start + Seconds{599});
    CHECK(problems.next_due() == start + Seconds{599} + time_out);
}

TEST_CASE("who is strict gives no time") {
    KeyProblems problems;
    problems.take_in(wrong("alice"), with({"alice"}), start);
    CHECK(problems.take_out(start, true) == Names{"alice"});
    CHECK_FALSE(problems.next_due());
    CHECK(problems.take_out(start, true).empty());
    CHECK(problems.all().size() == 1);
}

TEST_CASE("nobody has keys to keep whose client is not in force, or gone, or none") {
    KeyProblems problems;
    problems.take_in(wrong("alice"), with({"bob"}), start);
    CHECK(problems.all().at("alice.json").consequence == "alice is kept out");
    LoadedKeys dangling = wrong("bob");
    dangling.change.gone.insert("bob");
    problems.take_in(dangling, with({"bob"}), start);
    CHECK(problems.all().at("bob.json").consequence == "bob is kept out");
    LoadedKeys copy;
    copy.wrong["bob (copy).json"] = {"", "a copy"};
    problems.take_in(copy, with({"bob"}), start);
    CHECK(problems.all().at("bob (copy).json").consequence == "no client is read from it");
    CHECK_FALSE(problems.next_due());
    CHECK(problems.take_out(start, true).empty());
}

TEST_CASE("services that the door does not have stand there as long as it has none of that name") {
    KeyProblems problems;
    Keyring keyring = with({"alice", "bob"});
    keyring.clients[0].allow = {"ssh", "web"};
    problems.check("alice", in_force(keyring));
    problems.check("bob", in_force(keyring));
    REQUIRE(problems.all().size() == 1);
    CHECK_THAT(problems.all().at("alice.json").text, Catch::Contains("no service \"web\""));
    CHECK(problems.all().at("alice.json").consequence == "alice may open the rest");
    CHECK_FALSE(problems.next_due());

    SECTION("until the door has it") {
        keyring.door.services["web"] = {6, 80};
        problems.check_all(in_force(keyring));
        CHECK(problems.all().empty());
    }
    SECTION("until the client wants it no more") {
        keyring.clients[0].allow = {"ssh"};
        problems.take_in(right("alice.json"), keyring, start);
        problems.check("alice", in_force(keyring));
        CHECK(problems.all().empty());
    }
    SECTION("until the client is gone") {
        const Keyring bob_alone = with({"bob"});
        problems.take_in(right("alice.json"), bob_alone, start);
        problems.check("alice", in_force(bob_alone));
        CHECK(problems.all().empty());
    }
    SECTION("for those whose service the door has no more as well") {
        keyring.door.services.clear();
        problems.check_all(in_force(keyring));
        CHECK(problems.all().size() == 2);
    }
    SECTION("and nobody is out for them, however strict: no older policy is kept") {
        CHECK(problems.take_out(start, true).empty());
        CHECK(problems.all().at("alice.json").consequence == "alice may open the rest");
    }
}

TEST_CASE("who shares a key stands there with the other's file as long as they share it, and keeps no time") {
    KeyProblems problems;
    const Keyring keyring = with({"alice", "alice-old", "bob"});
    const Sharing sharing{{"alice", {"alice-old"}}, {"alice-old", {"alice"}}};
    CHECK(problems.is_other(sharing));
    problems.check_all(in_force(keyring, sharing));
    REQUIRE(problems.all().size() == 2);
    CHECK_THAT(problems.all().at("alice.json").text,
               Catch::StartsWith("alice.json: holds a key that is in alice-old.json"));
    CHECK_THAT(problems.all().at("alice-old.json").text, Catch::Contains(" in alice.json as well"));
    CHECK(problems.take_out(start + 2 * time_out, true).empty());
    CHECK_FALSE(problems.is_other(sharing));
    CHECK(problems.is_other(nothing_shared));
    const Keyring without_the_copy = with({"alice", "bob"});
    problems.check_all(in_force(without_the_copy));
    CHECK(problems.all().empty());
}

TEST_CASE("a file that is older than the key its client has used says so until it is newer") {
    KeyProblems problems;
    Keyring keyring = with({"alice"});
    keyring.clients[0].generations.push_back({3, Secret32::random(), UnixTime{}, UnixTime{Seconds{1'800'000'000}}});
    problems.check("alice", in_force(keyring, nothing_shared, {"alice"}));
    REQUIRE(problems.all().size() == 1);
    CHECK_THAT(problems.all().at("alice.json").text, Catch::Contains("newest generation is 3"));
    CHECK_THAT(problems.all().at("alice.json").consequence, Catch::Contains("ends at 2027-01-15T08:00:00Z"));
    problems.take_in(right("alice.json"), keyring, start);
    problems.check("alice", in_force(keyring));
    CHECK(problems.all().empty());
}
