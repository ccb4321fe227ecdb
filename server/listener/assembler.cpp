#include "server/listener/assembler.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "common/poll.hpp"

namespace oneknock {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t most_outstanding = 1024;  // a verdict takes well under a millisecond
constexpr std::size_t most_known_sources = 4096;
constexpr std::size_t most_known_words = 64;     // per source: kernels repeat those of some browsers for a minute
constexpr std::size_t most_passed_over = 16;     // of them, in conflicts: each takes a 256th of what is new with it
constexpr std::size_t own_window_only = 16;      // a source port with more pairs does not feed the merged window
constexpr std::uint8_t conflict_patience = 4;    // new pairs before a conflicted window is tried again
constexpr Instant quiet_time = milliseconds{2};  // before it is tried with every choice
constexpr int random_choices = 200;
constexpr double plentiful = 0.5;  // of a source's burst: below it no random choices are tried
constexpr Instant budget_pause = milliseconds{1};
constexpr std::size_t looks_per_packet = 2;  // at windows of each queue: with few, junk costs little
constexpr std::size_t looks_per_turn = 256;  // so that packets get their turn

constexpr Choice in_turn[] = {Choice::erase_conflicts, Choice::newest_positions, Choice::recent, Choice::oldest};

}  // namespace

Assembler::Assembler(CandidateSink& sink) : sink_(sink), outstanding_(most_outstanding) {}

void Assembler::add_book(Book book) {
    const auto slot = books_.add(std::move(book));
    if (!slot) return;
    strangers_.clear();
    table_.erase_book(*slot);
    std::erase_if(verified_words_, [&](const auto& entry) { return entry.first.first == *slot; });
}

void Assembler::packet(const Packet& packet, const Now& now) {
    std::array<Heard, most_books> heard;
    std::size_t count = 0;
    books_.look_up(packet.destination_port, now.wall, [&](Books::Slot book, Symbol symbol) {
        heard[count++] = {book, symbol};
    });
    if (count == 0) return;
    ++counters_.symbols;
    const auto end = heard.begin() + static_cast<std::ptrdiff_t>(count);
    const auto is_known = [&](const Heard& one) { return continues_word(one, packet, now.steady); };
    const auto known = count == 1 ? end : std::find_if(heard.begin(), end, is_known);
    const std::uint64_t hash = table_.hash({packet.source, 0, 0, true});
    for (auto one = heard.begin(); one != end; ++one)
        if (known == end || known == one) add_symbol(*one, hash, packet, now.steady);
    run_queues(now.steady, looks_per_packet);
}

// What is a knock in one book is noise in the others, and would be taken for an attack there. So a packet that fits to
// a word that was read already counts in that word's book alone.
bool Assembler::continues_word(const Heard& heard, const Packet& packet, Instant now) const {
    const Tick tick = tick_of(now);
    return table_.continues_word({packet.source, 0, heard.book, true}, heard.symbol, tick) ||
           table_.continues_word({packet.source, packet.source_port, heard.book, false}, heard.symbol, tick);
}

// And what its packets were in other books before it was read is noise that goes.
void Assembler::forget_elsewhere(const WindowKey& key, const Codeword& word) {
    const Index merged = table_.find({key.source, 0, key.book, true});
    const std::uint16_t port = key.merged && merged != no_index ? table_[merged].only_port : key.port;
    const Codebook& codes = books_.at(key.book).codes;
    for (Books::Slot book = 0; book < books_.used(); ++book) {
        if (book == key.book) continue;
        const Index windows[] = {table_.find({key.source, 0, book, true}),
                                 table_.find({key.source, port, book, false})};
        for (std::size_t p = 0; p < codeword_length; ++p)
            if (const auto symbol = books_.at(book).codes.symbol(codes.port({static_cast<std::uint8_t>(p), word[p]})))
                for (const Index index : windows)
                    if (index != no_index) table_.remove_pair(index, *symbol);
    }
}

// A source without a window is a stranger, until it has said more than strangers do.
void Assembler::add_symbol(const Heard& heard, std::uint64_t hash, const Packet& packet, Instant now) {
    const WindowKey merged_key{packet.source, 0, heard.book, true};
    if (table_.find(merged_key, hash) == no_index) {
        const StrangerTable::Pair first{heard.symbol, packet.source_port, tick_of(now)};
        for (const auto& pair : strangers_.add(packet.source, hash, heard.book, first))
            feed_windows(merged_key, hash, pair.symbol, pair.port, instant_of(pair.seen, now));
        return;
    }
    feed_windows(merged_key, hash, heard.symbol, packet.source_port, now);
}

// While a source uses one port, one window serves as its port's and as the merged one; with the second port it is
// split, so that strangers' packets under the same address do not meet the knock's own.
void Assembler::feed_windows(const WindowKey& merged_key, std::uint64_t hash, Symbol symbol, std::uint16_t port,
                             Instant now) {
    Index merged = table_.find(merged_key, hash);
    if (merged == no_index) {
        merged = table_.insert(merged_key, now);
        table_[merged].only_port = port;
        ++counters_.sources;
    } else if (now - table_[merged].last_new > pair_lifetime) {
        table_.empty(merged);
        table_[merged].only_port = port;
    }
    if (!table_[merged].split && table_[merged].only_port != port) split(merged, now);

    if (!table_[merged].split) {
        if (add_pair(merged, symbol, now)) consider(merged, symbol, now);
        return;
    }
    const WindowKey own_key{merged_key.source, port, merged_key.book, false};
    table_.touch(merged, now);  // the newest: making room for its port's window cannot take it
    Index own = table_.find(own_key);
    if (own == no_index) own = table_.insert(own_key, now);
    // A later pass of what its own port has said already: the merged window may have forgotten it behind others.
    if (table_[own].full != no_index && table_.full(own).swallows(symbol, tick_of(now))) return;
    if (add_pair(own, symbol, now)) consider(own, symbol, now);
    own = table_.find(own_key);
    merged = table_.find(merged_key, hash);
    if (merged == no_index || is_alone(own, merged, now)) return;
    if (add_pair(merged, symbol, now)) consider(merged, symbol, now);
}

// Whether a port says so much that is of no word yet that a window of its own will do. What it said of words that were
// read in the merged window does not count: behind a translator with few ports each of them says a lot in time.
bool Assembler::is_alone(Index own, Index merged, Instant now) {
    if (own == no_index || table_[own].full == no_index) return false;
    const Window* const read_in = table_[merged].full != no_index ? &table_.full(merged) : nullptr;
    return table_.full(own).has_undone(own_window_only, read_in, tick_of(now));
}

void Assembler::split(Index merged, Instant now) {
    table_.touch(merged, now);
    WindowKey own_key = table_[merged].key;
    own_key.merged = false;
    own_key.port = table_[merged].only_port;
    if (const Index stale = table_.find(own_key); stale != no_index) table_.erase(stale);
    const Index own = table_.insert(own_key, now);
    if (table_[merged].full != no_index) {
        table_.promote(own);
        table_.full(own) = table_.full(merged);
        if (table_.full(own).positions_at_most() >= code(own_key.source.family).k()) want_decode(own);
        if (table_.full(own).pairs_at_most() > own_window_only) table_.empty(merged);
        table_[merged].only_port = own_key.port;  // where a word is that was found before
    } else {
        table_[own].small = table_[merged].small;
        table_[own].small_count = table_[merged].small_count;
    }
    table_[merged].split = true;
}

// True if the pair changes what the window says, and is worth a look.
bool Assembler::add_pair(Index index, Symbol symbol, Instant now) {
    const Tick tick = tick_of(now);
    if (now - table_[index].last_new > pair_lifetime && !table_[index].key.merged) table_.empty(index);
    if (table_[index].full == no_index) {
        WindowEntry& window = table_[index];
        const auto end = window.small.begin() + window.small_count;
        const auto same =
            std::find_if(window.small.begin(), end, [&](const SmallPair& p) { return p.symbol == symbol; });
        if (same != end) {
            same->seen = tick;
            return false;
        }
        if (window.small_count < small_pairs) {
            window.small[window.small_count++] = {symbol, tick};
            table_.touch(index, now);
            return false;
        }
        table_.promote(index);
    }
    Window& window = table_.full(index);
    if (window.swallows(symbol, tick)) return false;
    if (!window.add(symbol, tick)) return false;
    table_.touch(index, now);
    return true;
}

// A new pair came to a full window: is there reason to decode?
void Assembler::consider(Index index, Symbol symbol, Instant now) {
    Window& window = table_.full(index);
    const std::size_t k = code(table_[index].key.source.family).k();
    if (window.positions_at_most() < k) return;
    if (window.pending && (*window.pending)[symbol.position] == symbol.byte) {
        if (window.agreeing(*window.pending, tick_of(now)) >= k + agreeing_beyond_k)
            retire_word(table_[index].key, Codeword(*window.pending), now);
        return;
    }
    ++window.new_pairs;
    if (window.conflicted && window.is_dense(tick_of(now), k)) {
        window.had_burst = true;
        want_quiet_retry(index, now);
        if (window.new_pairs >= conflict_patience) decode_burst(index, now);
        return;
    }
    if (window.conflicted && window.new_pairs < conflict_patience) {
        want_quiet_retry(index, now);
        return;
    }
    want_decode(index);
}

void Assembler::want_decode(Index index) {
    if (std::exchange(table_[index].queued, true)) return;
    const bool conflicted = table_[index].full != no_index && table_.full(index).conflicted;
    (conflicted ? in_conflict_ : clean_).push_back(refer(index));
}

void Assembler::want_quiet_retry(Index index, Instant now) {
    if (std::exchange(table_[index].quiet_due, true)) return;
    quiet_.push_back({refer(index), now});
}

// Round-robin: a window over budget goes to the back and keeps its turn.
void Assembler::run_queues(Instant now, std::size_t looks) {
    for (std::size_t i = 0; i < looks; ++i) {
        const bool ran_clean = run_next(clean_, now), ran_conflict = run_next(in_conflict_, now);
        if (!ran_clean && !ran_conflict) return;
    }
}

// False if none waits.
bool Assembler::run_next(std::deque<Reference>& queue, Instant now) {
    if (queue.empty()) return false;
    const Reference next = queue.front();
    queue.pop_front();
    if (!exists(next)) return true;
    table_[next.index].queued = false;
    if (table_[next.index].full != no_index) decode_in_turn(next.index, now);
    return true;
}

// Many pairs at once, as of a knock: it stands out of the junk around it. Thinner junk leaves half of the budget for
// this.
void Assembler::decode_burst(Index index, Instant now) {
    if (!take_budget(index, now)) return;
    table_.full(index).new_pairs = 0;
    attempt(index, Choice::newest, now, Window::whole_life(tick_of(now)));
}

void Assembler::decode_in_turn(Index index, Instant now) {
    const double reserve = table_.full(index).conflicted ? plentiful : 0;
    const Interval all = Window::whole_life(tick_of(now));
    if (!take_budget(index, now, reserve)) {
        want_decode(index);
        return;
    }
    const Reference self = refer(index);
    table_.full(index).new_pairs = 0;
    if (attempt(index, Choice::newest, now, all) || !exists(self) || table_[index].full == no_index) return;
    Window& window = table_.full(index);
    if (!window.conflicted) return;
    want_quiet_retry(index, now);
    if (take_budget(index, now, reserve)) attempt(index, in_turn[window.turn++ % std::size(in_turn)], now, all);
}

bool Assembler::take_budget(Index index, Instant now, double reserve) {
    SourceEntry& source = table_.source(index);
    source.decodes.refill(decodes_per_source, now);
    decodes_.refill(decodes_in_all, now);
    if (source.decodes.tokens() < 1 + reserve * decodes_per_source.burst ||
        decodes_.tokens() < 1 + reserve * decodes_in_all.burst)
        return false;
    source.decodes.take();
    decodes_.take();
    return true;
}

// Decodes once, what was last heard in the interval. True if the window has a word now: handed over, or done.
bool Assembler::attempt(Index index, Choice choice, Instant now, Interval when) {
    Window& window = table_.full(index);
    const WindowKey key = table_[index].key;
    const Code& family_code = code(key.source.family);
    const Tick tick = tick_of(now);
    const auto known = verified_words(key);
    const Selection selection =
        window.select(choice, tick, family_code.k(), known.last(std::min(known.size(), most_passed_over)), when);
    window.conflicted = selection.conflicted || (window.conflicted && when.length != pair_lifetime_ticks);
    if (selection.present() < family_code.k()) return false;
    ++counters_.decodes;
    const auto word = family_code.decode(selection.word, selection.missing_span());
    if (!word || window.is_rejected(*word)) return false;
    if (is_own_repeat(index, *word)) {
        remember_verified(key, *word);
        retire_word(key, *word, now);
        return true;
    }
    const bool certain = window.agreeing(*word, tick) >= family_code.k() + agreeing_beyond_k;
    if (window.pending != *word) {
        if (!offer(index, *word, now)) {
            want_decode(index);  // no room: keeps its turn
            return false;
        }
        window.pending = *word;
    }
    if (certain) retire_word(key, *word, now);
    return true;
}

// A browser has a source port for each packet, and the kernel below it sends each again for a minute where nothing
// comes back. With one source port it is somebody's replay, which is worth a line in the log.
bool Assembler::is_own_repeat(Index index, const Codeword& word) {
    const WindowEntry& window = table_[index];
    return window.key.merged && window.split && std::ranges::count(verified_words(window.key), word) != 0;
}

bool Assembler::offer(Index index, const Codeword& word, Instant now) {
    const WindowEntry& window = table_[index];
    const Book& book = books_.at(window.key.book);
    Candidate candidate;
    candidate.id = next_id_;
    candidate.epoch = book.epoch.value;
    candidate.door_generation = book.door_generation;
    candidate.source = window.key.source;
    candidate.message = code(window.key.source.family).message_of(word);
    candidate.first_packet_ns = instant_of(table_.full(index).first_heard(word, tick_of(now)), now).count();
    if (!sink_.offer(candidate)) return false;
    outstanding_[next_id_ % most_outstanding] = {next_id_, refer(index), window.key, word};
    ++next_id_;
    ++counters_.candidates;
    return true;
}

void Assembler::verdict(RequestId id, bool verified, Instant now) {
    const Outstanding answered = outstanding_[id % most_outstanding];
    if (answered.id != id || id == 0) return;
    outstanding_[id % most_outstanding].id = 0;
    if (verified) {
        remember_verified(answered.key, answered.word);
        retire_word(answered.key, answered.word, now);
        forget_elsewhere(answered.key, answered.word);
    } else if (exists(answered.window) && table_[answered.window.index].full != no_index) {
        table_.full(answered.window.index).reject(answered.word);
    }
    run_queues(now, looks_per_packet);
}

// The word's pairs leave the window it was found in and the merged one; what remains is tried at once. A word found
// before its source was split is in the first port's window as well.
void Assembler::retire_word(const WindowKey& key, const Codeword& word, Instant now) {
    const WindowKey merged_key{key.source, 0, key.book, true};
    if (!key.merged) finish_in(key, word, now);
    finish_in(merged_key, word, now);
    if (!key.merged) return;
    if (const Index merged = table_.find(merged_key); merged != no_index && table_[merged].split)
        finish_in({key.source, table_[merged].only_port, key.book, false}, word, now);
}

void Assembler::finish_in(const WindowKey& key, const Codeword& word, Instant now) {
    const Index index = table_.find(key);
    if (index == no_index) return;
    if (table_[index].full == no_index) {
        if (!key.merged) return;  // a port's small window that was emptied since
        table_.promote(index);    // a merged one must swallow what is still to come
    }
    Window& window = table_.full(index);
    window.finish(word, tick_of(now));
    if (window.positions_at_most() >= code(key.source.family).k()) want_decode(index);
}

void Assembler::remember_verified(const WindowKey& key, const Codeword& word) {
    auto& words = verified_words_[{key.book, key.source}];
    if (const auto known = std::ranges::find(words, word); known != words.end()) {
        std::rotate(known, std::next(known), words.end());  // the latest
        return;
    }
    if (words.size() == most_known_words) words.erase(words.begin());
    words.push_back(word);
    if (verified_words_.size() > most_known_sources)
        verified_words_.erase(verified_words_.begin()->first == std::pair{key.book, key.source}
                                  ? std::next(verified_words_.begin())
                                  : verified_words_.begin());
}

std::span<const Codeword> Assembler::verified_words(const WindowKey& key) const {
    const auto found = verified_words_.find({key.book, key.source});
    return found == verified_words_.end() ? std::span<const Codeword>{} : std::span<const Codeword>{found->second};
}

std::optional<Instant> Assembler::next_due() const {
    std::optional<Instant> due;
    if (!clean_.empty() || !in_conflict_.empty()) due = decodes_.refilled() + budget_pause;
    if (!quiet_.empty()) due = earliest(due, quiet_.front().since + quiet_time);
    return due;
}

void Assembler::advance(Instant now) {
    retry_quiet(now);
    run_queues(now, looks_per_turn);
}

// Windows in conflict to which nothing was added for 2 ms, or in which a burst is over: every choice, then random ones
// while budget is plentiful.
void Assembler::retry_quiet(Instant now) {
    while (!quiet_.empty() && quiet_.front().since + quiet_time <= now) {
        const Reference next = quiet_.front().window;
        quiet_.pop_front();
        if (!exists(next)) continue;
        table_[next.index].quiet_due = false;
        if (table_[next.index].full != no_index) retry_conflict(next, now);
    }
}

void Assembler::retry_conflict(const Reference& next, Instant now) {
    Window& window = table_.full(next.index);
    const Tick tick = tick_of(now);
    const bool burst_is_over =
        window.had_burst && !window.is_dense(tick, code(table_[next.index].key.source.family).k());
    const Instant last_new = table_[next.index].last_new;
    if (!burst_is_over && last_new + quiet_time > now) {
        want_quiet_retry(next.index, window.had_burst ? now : last_new);
        return;
    }
    window.had_burst = false;
    Interval when = Window::whole_life(tick);
    bool found = false;
    if (burst_is_over) {
        found = try_all(next, window.densest(tick, 2 * burst_ticks), now);
        when = window.densest(tick, burst_ticks);
    }
    found = found || try_all(next, when, now);
    for (int i = 0; i < random_choices && !found; ++i) {
        if (table_.source(next.index).decodes.tokens() < plentiful * decodes_per_source.burst) break;
        found = try_one(next, Choice::random, when, now);
    }
}

bool Assembler::try_all(const Reference& next, Interval when, Instant now) {
    bool found = try_one(next, Choice::newest, when, now);
    for (const Choice choice : in_turn) found = found || try_one(next, choice, when, now);
    return found;
}

// True also if the window is gone.
bool Assembler::try_one(const Reference& next, Choice choice, Interval when, Instant now) {
    if (!exists(next) || table_[next.index].full == no_index) return true;
    return take_budget(next.index, now) && attempt(next.index, choice, now, when);
}

}  // namespace oneknock
