// When the record is tended, by a clock of ours.
#include "server/gatekeeper/record/maintenance.hpp"

#include "common/secret.hpp"
#include "tests/catch.hpp"

using namespace oneknock;

namespace {

constexpr UnixTime noon{Seconds{1'800'001'800}};
constexpr Seconds tolerance{60};

Now at(int second) { return {noon + Seconds{second}, Seconds{5000 + second}}; }

struct Tended {
    Record record = *Record::open("", DoorId{}, at(0), tolerance);
    Audit audit = *Audit::open("", noon);
    RecordMaintenance upkeep{tolerance};

    void file(int tags) {
        record.begin();
        for (int i = 0; i < tags; ++i) {
            Tag tag;
            fill_random(tag.bytes);
            record.add_tag(tag, noon, "alice");
        }
        REQUIRE(record.commit());
        upkeep.plan(at(0).steady);
    }
    std::size_t tags_after(int second, bool busy) {
        REQUIRE(upkeep.run_slice(record, audit, at(second), busy));
        return record.tags_of("alice");
    }
};

}  // namespace

TEST_CASE("tags are forgotten in slices, when they are stale and no knock waits, until none is left") {
    Tended t;
    t.file(12'000);
    CHECK(t.upkeep.next_due(t.audit, at(0).steady, false) == at(61).steady);
    CHECK(t.tags_after(60, false) == 12'000);
    CHECK(t.tags_after(61, true) == 12'000);
    CHECK(t.tags_after(61, false) == 7000);
    CHECK(t.upkeep.next_due(t.audit, at(61).steady, false) <= at(61).steady);  // at once
    CHECK(t.tags_after(61, false) == 2000);
    CHECK(t.tags_after(61, false) == 0);
    CHECK_FALSE(t.record.wants_renewal(at(61).steady));  // done
    CHECK_FALSE(t.upkeep.next_due(t.audit, at(61).steady, false));
}

TEST_CASE("knocks that never cease put pruning off by a second and no longer") {
    Tended t;
    t.file(7000);
    CHECK(t.upkeep.next_due(t.audit, at(61).steady, true) == at(62).steady);
    CHECK(t.tags_after(61, true) == 7000);
    CHECK(t.tags_after(62, true) == 2000);
    CHECK(t.tags_after(62, true) == 0);
}

TEST_CASE("what is not stale yet is looked at again later") {
    Tended t;
    t.file(1);
    REQUIRE(t.upkeep.run_slice(t.record, t.audit, {noon + Seconds{60}, at(61).steady},
                               false));  // the wall clock was set back a second
    CHECK(t.record.has_tags());
    CHECK(t.upkeep.next_due(t.audit, at(61).steady, false) == at(122).steady);
}
