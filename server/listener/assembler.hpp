// From symbols to candidate messages (docs/protocol.md, "Receiving", steps 2 to 4): which windows a packet feeds, when
// a window is decoded and with which choice of bytes, and what becomes of a word afterwards. Pure: packets, verdicts
// and the time come in; candidates go out through CandidateSink.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "common/clock.hpp"
#include "common/protocol/codeword.hpp"
#include "common/token_bucket.hpp"
#include "server/listener/books.hpp"
#include "server/listener/packet.hpp"
#include "server/listener/stranger_table.hpp"
#include "server/listener/window_table.hpp"
#include "server/privsep/messages.hpp"

namespace oneknock {

// Implementation constants, not protocol: a decode costs 1 to 14 microseconds, so all sources together can take at
// most about a tenth of a core, and one source a fifth of that.
inline constexpr Rate decodes_in_all{10'000, 5'000};
inline constexpr Rate decodes_per_source{2'000, 1'024};

class CandidateSink {
public:
    // False if there is no room: the word stays in its window and is offered again. The verdict must not be given from
    // inside this call.
    virtual bool offer(const Candidate& candidate) = 0;

protected:
    ~CandidateSink() = default;
};

class Assembler {
public:
    explicit Assembler(CandidateSink& sink);

    void add_book(Book book);

    // The times given to these, in the order of the calls, never go back (see ArrivalClock).
    void packet(const Packet& packet, const Now& now);
    // The answer to a candidate. An unknown id is ignored: its window may be gone.
    void verdict(RequestId id, bool verified, Instant now);

    // When advance() must be called if no packet comes first; nothing if no work waits.
    [[nodiscard]] std::optional<Instant> next_due() const;
    void advance(Instant now);

    struct Counters {
        std::uint64_t symbols = 0;     // packets on a port of a live book
        std::uint64_t decodes = 0;     // attempts
        std::uint64_t candidates = 0;  // words offered
        std::uint64_t sources = 0;     // given windows: strangers no more
    };
    [[nodiscard]] const Counters& counters() const { return counters_; }

private:
    struct Reference {  // to a window that may be gone
        Index index;
        std::uint32_t serial;
    };
    struct Waiting {
        Reference window;
        Instant since;
    };
    struct Outstanding {  // a candidate whose verdict is awaited
        RequestId id = 0;
        Reference window{no_index, 0};
        WindowKey key;
        Codeword word{};
    };

    struct Heard {  // what a packet says in one of the books
        Books::Slot book;
        Symbol symbol;
    };

    [[nodiscard]] bool continues_word(const Heard& heard, const Packet& packet, Instant now) const;
    void forget_elsewhere(const WindowKey& key, const Codeword& word);
    void add_symbol(const Heard& heard, std::uint64_t hash, const Packet& packet, Instant now);
    void feed_windows(const WindowKey& merged_key, std::uint64_t hash, Symbol symbol, std::uint16_t port, Instant now);
    [[nodiscard]] bool is_alone(Index own, Index merged, Instant now);
    void split(Index merged, Instant now);
    bool add_pair(Index index, Symbol symbol, Instant now);
    void consider(Index index, Symbol symbol, Instant now);
    void want_decode(Index index);
    void want_quiet_retry(Index index, Instant now);

    void run_queues(Instant now, std::size_t looks);
    bool run_next(std::deque<Reference>& queue, Instant now);
    void retry_quiet(Instant now);
    void retry_conflict(const Reference& next, Instant now);
    bool try_all(const Reference& next, Interval when, Instant now);
    bool try_one(const Reference& next, Choice choice, Interval when, Instant now);
    void decode_in_turn(Index index, Instant now);
    bool take_budget(Index index, Instant now, double reserve = 0);
    bool attempt(Index index, Choice choice, Instant now, Interval when);
    void decode_burst(Index index, Instant now);
    [[nodiscard]] bool is_own_repeat(Index index, const Codeword& word);
    bool offer(Index index, const Codeword& word, Instant now);
    void retire_word(const WindowKey& key, const Codeword& word, Instant now);
    void finish_in(const WindowKey& key, const Codeword& word, Instant now);
    void remember_verified(const WindowKey& key, const Codeword& word);
    [[nodiscard]] std::span<const Codeword> verified_words(const WindowKey& key) const;
    [[nodiscard]] bool exists(const Reference& r) { return table_[r.index].serial == r.serial && r.serial != 0; }
    [[nodiscard]] Reference refer(Index index) { return {index, table_[index].serial}; }
    [[nodiscard]] const Code& code(Family family) const { return family == Family::ipv4 ? code_ipv4_ : code_ipv6_; }

    CandidateSink& sink_;
    Books books_;
    StrangerTable strangers_;  // sources that have no window yet
    WindowTable table_;
    Code code_ipv4_{Family::ipv4};
    Code code_ipv6_{Family::ipv6};

    // Windows that want a decode, each at most once: clean ones, which need one, apart from those in conflict, which
    // may need any number, so that an honest knock does not wait behind a flood.
    std::deque<Reference> clean_, in_conflict_;
    std::deque<Waiting> quiet_;  // windows to be tried again when nothing more comes, by time
    TokenBucket decodes_;        // of all sources

    std::vector<Outstanding> outstanding_;  // by id, a ring
    RequestId next_id_ = 1;

    // Verified words, for the life of their book: whole knocks recorded and sent again by others are passed over.
    std::map<std::pair<Books::Slot, Address>, std::vector<Codeword>> verified_words_;
    Counters counters_;
};

}  // namespace oneknock
