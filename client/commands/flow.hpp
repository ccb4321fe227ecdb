// Bytes on their way from one descriptor to another: one direction of a relay.
#pragma once

#include <array>
#include <cstddef>

namespace oneknock {

class Flow {
public:
    // `piece`: the most that one write may take.
    Flow(int from, int to, std::size_t piece) : from_(from), to_(to), piece_(piece) {}

    // Bytes are read only when all earlier ones are gone, so a slow reader slows the writer down.
    [[nodiscard]] bool wants_input() const { return !ended_ && !is_loaded(); }
    [[nodiscard]] bool is_loaded() const { return begin_ != end_; }
    [[nodiscard]] bool is_over() const { return ended_ && !is_loaded(); }

    // True if bytes came, or went. An end or a failure is neither.
    bool read_some();
    bool write_some();

    void give_up();  // what has not gone is dropped

    // Why reading or writing failed (errno), 0 if it did not.
    [[nodiscard]] int read_error() const { return read_error_; }
    [[nodiscard]] int write_error() const { return write_error_; }

private:
    int from_;
    int to_;
    std::size_t piece_;
    std::array<char, 65536> buffer_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    bool ended_ = false;
    int read_error_ = 0;
    int write_error_ = 0;
};

}  // namespace oneknock
