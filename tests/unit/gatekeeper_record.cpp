// The record on disk: what survives, and what is done when it does not.
#include "server/gatekeeper/record/record.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/catch.hpp"
#include "tests/unit/file_size_limit.hpp"

using namespace oneknock;
namespace fs = std::filesystem;

namespace {

constexpr UnixTime noon{Seconds{1'800'000'000}};
constexpr Seconds tolerance{60};
constexpr Instant start = Seconds{5000};
const DoorId door{{0xab, 0xcd}};
const Service ssh{protocol_tcp, 22};
const Address home = *Address::parse("192.0.2.7");
const Address elsewhere = *Address::parse("2001:db8::7");

Now at(int second) { return {noon + Seconds{second}, start + Seconds{second}}; }

struct Folder {
    std::string path;
    std::string replay, mark;
    Folder() {
        std::string name = (fs::temp_directory_path() / "oneknock-record-XXXXXX").string();
        REQUIRE(mkdtemp(name.data()) != nullptr);
        path = name + "/";
        replay = path + "oneknock.db-replay";
        mark = path + "oneknock.db-mark";
    }
    ~Folder() { fs::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    void mark_new(const DoorId& id) const { std::ofstream(path + "new-door") << to_hex(id.bytes) << "\n"; }
    [[nodiscard]] Record open(const Now& now = at(0), const BootId& boot = {}, Seconds flows_after = {}) const {
        auto record = Record::open(path, door, now, tolerance, boot, flows_after);
        REQUIRE(record);
        return std::move(*record);
    }
    [[nodiscard]] Record open_new() const {
        mark_new(door);
        return open();
    }
};

std::string content_of(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}
void put(const std::string& file, const std::string& content) {
    std::ofstream(file, std::ios::binary | std::ios::trunc) << content;
}

void remember(Record&& record, std::uint8_t number, UnixTime time = noon) {
    record.begin();
    record.add_tag(Tag{{number}}, time, "alice");
    REQUIRE(record.commit());
}
void remember(Record& record, std::uint8_t number, UnixTime time = noon) {
    record.begin();
    record.add_tag(Tag{{number}}, time, "alice");
    REQUIRE(record.commit());
}
void grant(Record& record, const ClientGrant& grant, Instant end, std::uint8_t number) {
    record.begin();
    record.add_tag_and_grant(Tag{{number}}, noon, grant, end, start);
    REQUIRE(record.commit());
}

}  // namespace

TEST_CASE("a new door starts without a floor, once") {
    const Folder folder;
    folder.mark_new(door);
    {
        Record record = folder.open();
        CHECK(record.lost() == Record::Loss::none);
        CHECK(record.floor() == UnixTime{});
        CHECK_FALSE(record.is_closed(start));
    }
    CHECK_FALSE(fs::exists(folder.path + "new-door"));
    for (const auto& file : {folder.replay, folder.mark}) fs::remove(file);
    CHECK(folder.open().lost() == Record::Loss::missing);
}

TEST_CASE("a missing record, or the marker of another door, closes for two tolerances of the steady clock") {
    const Folder folder;
    folder.mark_new(DoorId{{1}});
    const Record record = folder.open();
    CHECK(record.lost() == Record::Loss::missing);
    CHECK(record.floor() == noon + tolerance);
    CHECK(record.is_closed(at(120).steady));
    CHECK_FALSE(record.is_closed(at(121).steady));
}

TEST_CASE("the window behind a loss outlives a restart, and ends once it has passed") {
    const Folder folder;
    static_cast<void>(folder.open());
    CHECK(folder.open(at(100)).is_closed(at(120).steady));
    CHECK_FALSE(folder.open(at(100)).is_closed(at(121).steady));
    CHECK(folder.open(at(100)).closed_for(at(100).steady) == Seconds{21});
    // A steady clock that was further ahead, as another time namespace's may be.
    CHECK_FALSE(folder.open({noon, Instant{0}}).is_closed(2 * tolerance + Seconds{1}));
    {
        Record record = folder.open(at(100), {7});  // how much of it had passed is not known
        CHECK(record.lost() == Record::Loss::none);
        CHECK(record.is_closed(at(220).steady));
        CHECK_FALSE(record.wants_renewal(at(220).steady));
        CHECK(record.wants_renewal(at(221).steady));
        REQUIRE(record.renew(at(221).steady));
        CHECK_FALSE(record.wants_renewal(at(221).steady));
    }
    CHECK_FALSE(folder.open(at(230)).is_closed(at(230).steady));
}

TEST_CASE("tags, floors, closes and grants are there after opening again, also twice") {
    const Folder folder;
    {
        Record record = folder.open_new();
        remember(record, 1);
        record.begin();
        record.raise_client_floor("bob", noon + Seconds{5});
        record.add_tag_and_grant(Tag{{2}}, noon, {ssh, home, "alice"}, start + Seconds{30}, start);
        record.add_tag_and_grant(Tag{{3}}, noon, {ssh, home, "bob"}, start + Seconds{90}, start);
        record.add_tag_and_grant(Tag{{4}}, noon, {ssh, elsewhere, "bob"}, start + Seconds{90}, start);
        record.add_tag_and_grant(Tag{{5}}, noon, {ssh, elsewhere, "alice"}, start + Seconds{90}, start);
        record.close({ssh, elsewhere, "alice"}, noon, start);
        record.end({ssh, elsewhere, "bob"}, start);
        REQUIRE(record.commit());
    }
    static_cast<void>(folder.open(at(1)));
    Record record = folder.open(at(2));
    CHECK(record.lost() == Record::Loss::none);
    for (std::uint8_t number = 1; number < 6; ++number) CHECK(record.holds(Tag{{number}}, noon));
    CHECK_FALSE(record.holds(Tag{{6}}, noon));
    CHECK(record.tags_of("alice") == 3);
    CHECK(record.client_floor("bob") == noon + Seconds{5});
    CHECK_FALSE(record.client_floor("alice"));
    CHECK(record.last_close("alice", ssh) == noon);
    CHECK_FALSE(record.last_close("alice", {protocol_udp, 22}));
    CHECK(record.grants().live(start).size() == 2);
    CHECK(record.grants().end_of({ssh, home, "alice"}, start) == start + Seconds{30});
    CHECK(record.grants().latest_end(ssh, home, start) == start + Seconds{90});
}

TEST_CASE("grants of another boot have ended, and tags have not") {
    const Folder folder;
    {
        Record record = folder.open_new();
        grant(record, {ssh, home, "alice"}, start + Seconds{90}, 1);
    }
    Record record = folder.open(at(1), {7});
    CHECK(record.holds(Tag{{1}}, noon));
    CHECK(record.grants().live(start).empty());
    CHECK(folder.open(at(2)).grants().size() == 0);
}

TEST_CASE("flows are remembered after opening again, twice as well, and not those of another boot") {
    const Folder folder;
    const ClientGrant alices{{protocol_udp, 51820}, home, "alice"}, ended{{protocol_udp, 51820}, home, "bob"};
    const Seconds flows_after = std::chrono::ceil<Seconds>(start) + Seconds{86400};  // the clock begins with each boot
    {
        Record record = folder.open_new();
        grant(record, alices, start + Seconds{30}, 1);
        grant(record, ended, start + Seconds{30}, 2);
        record.begin();
        record.end(ended, start);
        REQUIRE(record.commit());
    }
    for (int i = 0; i < 2; ++i) {
        Record record = folder.open(at(60), {}, flows_after);
        CHECK(record.grants().live(at(60).steady).empty());
        CHECK(record.grants().remembered(at(60).steady) == HeldGrants::Ends{{alices, start + Seconds{30}}});
    }
    CHECK(folder.open(at(60), {7}, flows_after).grants().size() == 0);
}

TEST_CASE("a turn that was not committed leaves nothing") {
    const Folder folder;
    {
        Record record = folder.open_new();
        record.begin();
        record.add_tag(Tag{{7}}, noon, "alice");
    }
    CHECK_FALSE(folder.open().holds(Tag{{7}}, noon));
}

TEST_CASE("a turn that cannot be written is undone as a whole and says so, and the next one is as good as ever") {
    const Folder folder;
    const ClientGrant mine{ssh, home, "alice"};
    {
        Record record = folder.open_new();
        grant(record, mine, start + Seconds{30}, 1);
        const FileSizeLimit as_it_is(fs::file_size(folder.replay));
        record.begin();
        for (int i = 0; i < 3000; ++i) {  // more than the file has room for
            Tag tag{{2}};
            tag.bytes[1] = static_cast<std::uint8_t>(i);
            tag.bytes[2] = static_cast<std::uint8_t>(i / 256);
            record.add_tag(tag, noon, "alice");
        }
        record.add_tag_and_grant(Tag{{3}}, noon, mine, start + Seconds{600}, start);
        record.close({ssh, elsewhere, "bob"}, noon, start);
        record.raise_client_floor("bob", noon);
        const auto failed = record.commit();
        as_it_is.lift();
        REQUIRE_FALSE(failed);
        CHECK(failed.error().message.find("cannot write the replay record: ") == 0);
        CHECK(record.tags_of("alice") == 1);
        CHECK_FALSE(record.holds(Tag{{3}}, noon));
        CHECK(record.grants().end_of(mine, start) == start + Seconds{30});
        CHECK_FALSE(record.last_close("bob", ssh));
        CHECK_FALSE(record.client_floor("bob"));
        remember(record, 4);
    }
    const Record record = folder.open();
    CHECK(record.lost() == Record::Loss::none);
    CHECK(record.tags_of("alice") == 2);
    CHECK(record.holds(Tag{{4}}, noon));
}

TEST_CASE("the floor is durable, never goes back, and stays behind the tags that are kept") {
    const Folder folder;
    {
        Record record = folder.open_new();
        remember(record, 1, noon);
        remember(record, 2, noon + Seconds{10});
        CHECK_FALSE(record.prune(noon + Seconds{61}, tolerance));
        CHECK(record.floor() == noon);
        CHECK_FALSE(record.holds(Tag{{1}}, noon));
        CHECK(record.holds(Tag{{2}}, noon + Seconds{10}));
        CHECK_FALSE(record.prune(noon - Seconds{1000}, tolerance));
        CHECK(record.floor() == noon);
    }
    {
        Record record = folder.open();
        CHECK((record.floor() == noon || record.holds(Tag{{1}}, noon)));  // either refuses
        CHECK_FALSE(record.prune(noon + Seconds{61}, tolerance));
        REQUIRE(record.renew(start));
    }
    CHECK(folder.open().floor() == noon);
    CHECK_FALSE(folder.open().holds(Tag{{1}}, noon));
}

// Whatever happens to the files while no daemon runs: a used message is refused, by its tag or because a record was
// lost.
TEST_CASE("no damage to either file makes a used message fresh") {
    const Folder folder;
    constexpr std::uint8_t used = 20;
    {
        Record record = folder.open_new();
        for (std::uint8_t i = 0; i < used; ++i) remember(record, i);
    }
    const std::string replay = content_of(folder.replay), mark = content_of(folder.mark);
    const auto refuses_all = [&](const Now& now) {
        Record record = folder.open(now);
        if (record.is_closed(now.steady)) return true;
        for (std::uint8_t i = 0; i < used; ++i)
            if (!record.holds(Tag{{i}}, noon)) return false;
        return true;
    };
    const auto with = [&](const std::string& a, const std::string& b) {
        put(folder.replay, a);
        put(folder.mark, b);
        return refuses_all(at(1));
    };
    REQUIRE(with(replay, mark));
    int wrong = 0;
    const std::size_t written = (1 + used) * JournalEntry::size;
    constexpr std::size_t step = 1000 / test::trials(1000);  // with the sanitizers one byte in ten
    for (std::size_t at = 0; at < written; at += step)       // a bit of each byte
        wrong += !with(std::string(replay).replace(at, 1, 1, static_cast<char>(replay[at] ^ 1 << at % 8)), mark);
    for (std::size_t at = 0; at < mark.size(); ++at)
        wrong += !with(replay, std::string(mark).replace(at, 1, 1, static_cast<char>(mark[at] ^ 1 << at % 8)));
    for (std::size_t length = 0; length < written; length += 32 * step) {
        wrong += !with(replay.substr(0, length), mark);
        wrong += !with(std::string(replay).replace(length, written - length, written - length, '\0'), mark);
        wrong += !with(std::string(replay).replace(0, length, length, '\0'), mark) && length > 0;
        wrong += !with(std::string(replay).replace(length, 32, 32, '\x5a'), mark);
    }
    for (std::size_t length = 0; length < mark.size(); ++length) wrong += !with(replay, mark.substr(0, length));
    wrong += !with(replay + replay, mark) + !with(mark, replay) + !with("", "") +
             !with(std::string(replay.size(), '\0'), mark);
    CHECK(wrong == 0);
}

TEST_CASE("an older copy of the files is found out, and so is one of them beside the other's newer one") {
    const Folder folder;
    {
        Record record = folder.open_new();
        remember(record, 1);
    }
    const std::string replay = content_of(folder.replay), mark = content_of(folder.mark);
    {
        Record record = folder.open();
        remember(record, 2);
    }
    const std::string newer_mark = content_of(folder.mark), newer_replay = content_of(folder.replay);
    put(folder.replay, replay);
    CHECK(folder.open().lost() == Record::Loss::damaged);
    put(folder.replay, newer_replay);
    put(folder.mark, mark);  // as a crash between the two leaves them
    Record record = folder.open();
    CHECK(record.holds(Tag{{1}}, noon));
    CHECK(record.holds(Tag{{2}}, noon));
}

TEST_CASE("a record that was put aside is found out when it comes back, whatever has been recorded since") {
    const Folder folder;
    {
        Record record = folder.open_new();
        remember(record, 1);
    }
    const std::string before = content_of(folder.replay);
    std::filesystem::remove(folder.mark);
    {
        Record record = folder.open();
        CHECK(record.lost() == Record::Loss::damaged);
        remember(record, 2);
    }
    put(folder.replay, before);
    CHECK(folder.open().lost() == Record::Loss::damaged);
}

TEST_CASE("starts that were cut off between the new file and its mark are no damage, however many") {
    const Folder folder;
    remember(folder.open_new(), 1);
    const std::string before = content_of(folder.mark);
    static_cast<void>(folder.open());
    const std::string behind = content_of(folder.mark);
    put(folder.mark, before);                      // the first was cut off here
    fs::create_directory(folder.replay + ".new");  // the second cannot begin its file,
    CHECK_FALSE(Record::open(folder.path, door, at(0), tolerance));
    CHECK(content_of(folder.mark) == behind);  // and has marked the first one's
    fs::remove(folder.replay + ".new");
    const Record record = folder.open();
    CHECK(record.lost() == Record::Loss::none);
    CHECK(record.holds(Tag{{1}}, noon));
}

TEST_CASE("a write that was cut off is no damage; one that was accepted is missed") {
    const Folder folder;
    std::string before_turn;
    {
        Record record = folder.open_new();
        remember(record, 1);
        before_turn = content_of(folder.mark);
        record.begin();
        record.add_tag(Tag{{2}}, noon, "alice");
        record.add_tag(Tag{{3}}, noon, "alice");
        REQUIRE(record.commit());
    }
    const std::string replay = content_of(folder.replay), mark = content_of(folder.mark);
    std::string torn = replay;
    torn.replace(2 * JournalEntry::size, 40, 40, '\0');  // the first entry of the turn, and not the second
    put(folder.replay, torn);
    put(folder.mark, before_turn);
    {
        const Record record = folder.open();
        CHECK(record.lost() == Record::Loss::none);
        CHECK(record.holds(Tag{{1}}, noon));
        CHECK_FALSE(record.holds(Tag{{3}}, noon));
    }
    put(folder.replay, torn);
    put(folder.mark, mark);
    CHECK(folder.open().lost() == Record::Loss::damaged);
}

TEST_CASE("damaged records are put aside and say what was damaged") {
    const Folder folder;
    {
        Record record = folder.open_new();
        for (std::uint8_t i = 0; i < 20; ++i) remember(record, i);
    }
    fs::resize_file(folder.replay, 1000);
    Record record = folder.open();
    CHECK(record.lost() == Record::Loss::damaged);
    CHECK(record.damage() == "of 20 entries it has 6");
    CHECK(record.floor() == noon + tolerance);
    CHECK(fs::file_size(folder.replay + ".damaged-" + std::to_string(noon.time_since_epoch().count())) == 1000);
    remember(record, 1);
}

TEST_CASE("what is in the record's place but cannot be opened is not taken for missing, and left there") {
    const Folder folder;
    const auto refused = [&] {
        const auto record = Record::open(folder.path, door, at(0), tolerance);
        return !record && record.error().code == ExitCode::cannot_create &&
               record.error().message.find("Check the disk and the folder's owner") != std::string::npos;
    };
    for (const auto& file : {folder.replay, folder.mark}) {
        for (const char* target :
             {"elsewhere", "oneknock.db-replay", "oneknock.db-mark"}) {  // to nowhere, and to itself
            fs::create_symlink(target, file);
            CHECK(refused());
            CHECK(fs::is_symlink(file));
            CHECK_FALSE(fs::exists(folder.path + "elsewhere"));
            fs::remove(file);
        }
        fs::create_directory(file);
        CHECK(refused());
        fs::remove(file);
    }
    CHECK_FALSE(Record::open(folder.path + "no/", door, at(0), tolerance));  // no folder at all
}

TEST_CASE("a record that cannot be begun leaves nothing half made behind") {
    const Folder folder;
    folder.mark_new(door);
    fs::create_directory(folder.replay + ".new");
    std::ofstream(folder.replay + ".new/file") << "";
    REQUIRE_FALSE(Record::open(folder.path, door, at(0), tolerance));
    CHECK_FALSE(fs::exists(folder.replay));
    CHECK_FALSE(fs::exists(folder.path + "new-door"));  // used up: what may have been begun is not new
    fs::remove_all(folder.replay + ".new");
    CHECK(folder.open().lost() == Record::Loss::missing);
}

TEST_CASE("a marker of a new door that lies beside a record is taken away") {
    const Folder folder;
    {
        Record record = folder.open();
        remember(record, 1);
    }
    folder.mark_new(door);
    CHECK(folder.open().lost() == Record::Loss::none);
    CHECK_FALSE(fs::exists(folder.path + "new-door"));
}

TEST_CASE("pruning goes in slices, each with its floor, until nothing stale is left") {
    const Folder folder;
    Record record = folder.open_new();
    for (std::uint8_t i = 0; i < 10; ++i) remember(record, i, noon + Seconds{i / 3});
    CHECK(record.tags_of("alice") == 10);
    CHECK(record.prune(noon + Seconds{1000}, tolerance, 4));
    CHECK(record.tags_of("alice") == 6);
    CHECK(record.floor() == noon + Seconds{1});  // so the two others of that second stay refused
    CHECK_FALSE(record.holds(Tag{{3}}, noon + Seconds{1}));
    CHECK(record.holds(Tag{{4}}, noon + Seconds{1}));
    CHECK(record.prune(noon + Seconds{1000}, tolerance, 4));
    CHECK_FALSE(record.prune(noon + Seconds{1000}, tolerance, 4));
    CHECK_FALSE(record.has_tags());
    CHECK(record.floor() == noon + Seconds{3});
}

TEST_CASE("a file of which most is forgotten is written anew, and not before that pays") {
    const Folder folder;
    Record record = folder.open_new();
    const auto fill = [&](UnixTime time, int count) {
        record.begin();
        for (int i = 0; i < count; ++i) {
            Tag tag{{static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(i / 256)}};
            record.add_tag(tag, time, "alice");
        }
        REQUIRE(record.commit());
    };
    fill(noon, 4000);
    CHECK_FALSE(record.prune(noon + Seconds{100}, tolerance));
    CHECK_FALSE(record.wants_renewal(start));
    fill(noon + Seconds{100}, 100);
    CHECK(record.wants_renewal(start));
    const auto size = fs::file_size(folder.replay);
    REQUIRE(record.renew(start));
    CHECK(fs::file_size(folder.replay) < size);
    CHECK_FALSE(record.wants_renewal(start));
    CHECK_FALSE(fs::exists(folder.replay + ".new"));
    const Record again = folder.open();
    CHECK(again.tags_of("alice") == 100);
    CHECK(again.floor() == noon);
}

TEST_CASE("grants are known until they end, each client's own, and a share is all that a client can take") {
    HeldGrants grants;
    const ClientGrant alices{ssh, home, "alice"}, bobs{ssh, home, "bob"};
    grants.put(alices, Seconds{10}, Seconds{1});
    grants.put(bobs, Seconds{20}, Seconds{1});
    CHECK(grants.latest_end(ssh, home, Seconds{1}) == Seconds{20});
    CHECK_FALSE(grants.latest_end(ssh, elsewhere, Seconds{1}));
    grants.erase(bobs, Seconds{2});
    CHECK(grants.latest_end(ssh, home, Seconds{2}) == Seconds{10});
    CHECK(grants.live(Seconds{9}).size() == 1);
    CHECK(grants.live(Seconds{10}).empty());
    const auto number = [](std::size_t i) { return Address::ipv4(static_cast<std::uint32_t>(i)); };
    for (std::size_t i = 0; i < HeldGrants::most_per_client; ++i)
        grants.put({ssh, number(i), "mallory"}, Seconds{100}, Seconds{10});
    CHECK_FALSE(grants.has_room_for({ssh, home, "mallory"}, Seconds{10}));
    CHECK(grants.has_room_for({ssh, number(7), "mallory"}, Seconds{10}));  // the same once more
    CHECK(grants.has_room_for(alices, Seconds{10}));
    CHECK(grants.has_room_for({ssh, home, "mallory"}, Seconds{100}));  // when the others have ended
}

TEST_CASE("a grant of a UDP service is remembered as long as its flows may go on, and taken away with them") {
    const Service vpn{protocol_udp, 51820};
    HeldGrants grants(Seconds{100});
    const ClientGrant alices{vpn, home, "alice"}, bobs{vpn, home, "bob"}, of_ssh{ssh, home, "alice"};
    for (const auto& [grant, end] : {std::pair{alices, 10}, {bobs, 20}, {of_ssh, 10}})
        grants.put(grant, Seconds{end}, Seconds{1});
    CHECK(grants.latest_end(vpn, home, Seconds{19}) == Seconds{20});
    CHECK(grants.latest_end_of_flows(vpn, home, Seconds{19}) == Seconds{120});
    CHECK_FALSE(grants.latest_end_of_flows(ssh, home, Seconds{1}));
    CHECK_FALSE(grants.end_of(alices, Seconds{10}));
    CHECK(grants.noted_end(alices, Seconds{10}) == Seconds{10});
    CHECK_FALSE(grants.noted_end(of_ssh, Seconds{10}));
    CHECK(grants.live(Seconds{10}).size() == 1);
    CHECK(grants.remembered(Seconds{10}).size() == 2);
    CHECK_FALSE(grants.latest_end(vpn, home, Seconds{20}));
    CHECK(grants.latest_end_of_flows(vpn, home, Seconds{20}) == Seconds{120});
    grants.erase(bobs, Seconds{30});
    CHECK(grants.latest_end_of_flows(vpn, home, Seconds{30}) == Seconds{110});
    grants.put(alices, Seconds{60}, Seconds{30});
    grants.end_now(alices, Seconds{40});
    CHECK_FALSE(grants.end_of(alices, Seconds{40}));
    CHECK(grants.remembered(Seconds{139}).size() == 1);
    CHECK(grants.remembered(Seconds{140}).empty());
}
