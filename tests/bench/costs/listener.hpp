// The listener behind its captures, and the gatekeeper up to the verifier, in one process: frames in, verified knocks
// counted.
#pragma once

#include <cstdint>
#include <vector>

#include "server/listener/assembler.hpp"
#include "server/listener/packet.hpp"
#include "tests/bench/costs/door.hpp"

namespace oneknock {

class BenchListener final : public CandidateSink {
public:
    // The listener reads the clock once for each turn of its loop: how many frames come in one, and how long one is.
    struct Turn {
        std::uint32_t frames;
        Instant length;
    };

    BenchListener(BenchDoor& door, Turn turn) : door_(door), turn_(turn) { assembler_.add_book(door.book()); }

    bool offer(const Candidate& candidate) override {
        candidates_.push_back(candidate);
        return true;
    }

    // Of Ethernet.
    void frame(ByteSpan bytes) {
        if (++seen_ % turn_.frames == 0) next_turn();
        if (const auto packet = parse_packet(LinkLayer::ethernet, bytes)) assembler_.packet(*packet, now_);
    }

    // All that waits is decoded.
    void settle() {
        for (Instant waited{0}; waited < longest_wait; waited += turn_.length) next_turn();
    }

    [[nodiscard]] std::uint64_t asked() const { return asked_; }
    [[nodiscard]] std::uint64_t verified() const { return verified_; }

private:
    static constexpr Instant longest_wait{100'000'000};  // longer than any window waits

    void next_turn() {
        assembler_.advance(now_.steady);
        asked_ += candidates_.size();
        judged_.swap(candidates_);  // a verdict may bring more
        for (const Candidate& candidate : judged_) {
            const bool verified = door_.verify(candidate);
            if (verified) ++verified_;
            assembler_.verdict(candidate.id, verified, now_.steady);
        }
        judged_.clear();
        now_.steady += turn_.length;
    }

    BenchDoor& door_;
    Turn turn_;
    Assembler assembler_{*this};
    Now now_{BenchDoor::noon, Seconds{1000}};
    std::uint32_t seen_ = 0;
    std::uint64_t asked_ = 0, verified_ = 0;
    std::vector<Candidate> candidates_, judged_;
};

}  // namespace oneknock
