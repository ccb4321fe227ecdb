// What it costs to make the tags of a turn durable: in the journal, as the gatekeeper does, and in SQLite with a
// write-ahead log that is flushed at every commit, as it could. Both look nothing up and forget nothing here.
//
//     build/bench/bin/per_turn --benchmark_enable_random_interleaving=true --benchmark_repetitions=9
#include <array>

#include <benchmark/benchmark.h>

#include "common/secret.hpp"
#include "server/gatekeeper/record/database.hpp"
#include "server/gatekeeper/record/journal.hpp"
#include "tests/bench/costs/folder.hpp"

using namespace oneknock;

namespace {

std::vector<JournalEntry> entries(std::size_t count) {
    std::vector<JournalEntry> made(count);
    for (JournalEntry& entry : made) {
        entry.client = "laptop";
        entry.time = UnixTime{Seconds{1'780'000'000}};
        fill_random(entry.tag.bytes);
    }
    return made;
}

void journal(benchmark::State& state) {
    const Folder folder;
    Journal record(folder.path());
    bool sound = record.renew({}, {});
    for (auto _ : state) {
        state.PauseTiming();
        const auto turn = entries(static_cast<std::size_t>(state.range(0)));
        state.ResumeTiming();
        sound = sound && record.append(turn);
    }
    if (!sound) state.SkipWithError(record.problem().c_str());
}

bool insert(Database& record, const Prepared& into, const std::vector<JournalEntry>& turn) {
    bool sound = record.run("BEGIN IMMEDIATE");
    for (const JournalEntry& entry : turn) {
        const std::string_view tag(reinterpret_cast<const char*>(entry.tag.bytes.data()), entry.tag.bytes.size());
        sound = Statement(into).bind(tag).bind(entry.time).bind(entry.client).done() && sound;
    }
    sound = record.run("COMMIT") && sound;
    if (record.wal_has(1000)) record.checkpoint();
    return sound;
}

void sqlite(benchmark::State& state) {
    const Folder folder;
    Database record;
    bool sound = record.open(folder.path() + "tags.db") && record.run("PRAGMA synchronous=FULL") &&
                 record.run("CREATE TABLE tags (tag BLOB PRIMARY KEY, time INTEGER, client TEXT) WITHOUT ROWID");
    const Prepared into = record.prepare("INSERT INTO tags VALUES (CAST(? AS BLOB), ?, ?)");
    for (auto _ : state) {
        state.PauseTiming();
        const auto turn = entries(static_cast<std::size_t>(state.range(0)));
        state.ResumeTiming();
        sound = sound && insert(record, into, turn);
    }
    if (!sound) state.SkipWithError(record.problem().c_str());
}

}  // namespace

BENCHMARK(journal)->Arg(1)->Arg(16)->Iterations(200)->Unit(benchmark::kMicrosecond)->UseRealTime();
BENCHMARK(sqlite)->Arg(1)->Arg(16)->Iterations(200)->Unit(benchmark::kMicrosecond)->UseRealTime();
