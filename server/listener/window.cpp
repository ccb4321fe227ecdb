#include "server/listener/window.hpp"

#include <algorithm>

#include "common/secret.hpp"

namespace oneknock {
namespace {

constexpr Tick recent_ticks = ticks_in(std::chrono::milliseconds{50});
constexpr int millisecond_bits = 6;  // ticks to milliseconds, nearly

}  // namespace

bool Window::add(Symbol symbol, Tick now) {
    count_arrival(now);
    Cell& cell = cells_[symbol.position];
    std::size_t at = 0;
    while (at < cell.count && cell.bytes[at] != symbol.byte) ++at;
    const bool is_newest_now = at != 0 || at == cell.count || !is_live(cell.seen[at], now);
    if (at == cell.count) {
        if (cell.count == 0) ++positions_;
        if (cell.count == pairs_per_position) {
            --at;
        } else {
            ++cell.count;
            ++pairs_;
        }
    }
    for (; at > 0; --at) {  // to the front: the newest
        cell.bytes[at] = cell.bytes[at - 1];
        cell.seen[at] = cell.seen[at - 1];
    }
    cell.bytes[0] = symbol.byte;
    cell.seen[0] = now;
    return is_newest_now;
}

void Window::count_arrival(Tick now) {
    const Tick current = now >> millisecond_bits;
    if (current != millisecond_) {
        before_ = current == millisecond_ + 1 ? arrived_ : std::uint16_t{0};
        arrived_ = 0;
        millisecond_ = current;
    }
    if (arrived_ < 60000) ++arrived_;
}

bool Window::is_dense(Tick now, std::size_t k) const {
    const Tick age = (now >> millisecond_bits) - millisecond_;
    const std::size_t arrived = age == 0 ? std::size_t{arrived_} + before_ : age == 1 ? arrived_ : std::size_t{0};
    return arrived >= k;
}

Interval Window::densest(Tick now, Tick length) const {
    struct Heard {
        Tick age;
        std::uint8_t position;
    };
    std::array<Heard, codeword_length * pairs_per_position> heard;
    std::size_t count = 0;
    for (std::size_t p = 0; p < codeword_length; ++p)
        for (std::size_t i = 0; i < cells_[p].count; ++i)
            if (is_live(cells_[p].seen[i], now))
                heard[count++] = {now - cells_[p].seen[i], static_cast<std::uint8_t>(p)};
    std::sort(heard.begin(), heard.begin() + static_cast<std::ptrdiff_t>(count),
              [](const Heard& a, const Heard& b) { return a.age < b.age; });
    std::array<std::uint8_t, codeword_length> times{};
    std::size_t positions = 0, best = 0, first = 0;
    Tick oldest = 0;
    for (std::size_t last = 0; last < count; ++last) {
        if (times[heard[last].position]++ == 0) ++positions;
        while (heard[last].age - heard[first].age > length)
            if (--times[heard[first++].position] == 0) --positions;
        if (positions > best) {
            best = positions;
            oldest = heard[last].age;
        }
    }
    return {now - oldest, length};
}

bool Window::swallows(Symbol symbol, Tick now) const {
    return std::ranges::any_of(swallowed_, [&](const Swallowed& s) {
        return s.used && s.word[symbol.position] == symbol.byte && is_live(s.since, now);
    });
}

bool Window::has_undone(std::size_t more_than, const Window* other, Tick now) const {
    if (pairs_ <= more_than) return false;
    std::size_t count = 0;
    for (std::size_t p = 0; p < codeword_length; ++p)
        for (std::size_t i = 0; i < cells_[p].count; ++i) {
            const Symbol symbol{static_cast<std::uint8_t>(p), cells_[p].bytes[i]};
            if (!is_live(cells_[p].seen[i], now) || (other != nullptr && other->swallows(symbol, now))) continue;
            if (++count > more_than) return true;
        }
    return false;
}

// The bytes to choose from at one position, newest first; returns how many.
std::size_t Window::pick_live(const Cell& cell, std::size_t position, Interval when, std::span<const Codeword> known,
                              Picked& picked) {
    std::size_t live = 0, unknown = 0;
    Picked fresh{};
    for (std::size_t i = 0; i < cell.count; ++i) {
        if (!when.holds(cell.seen[i])) continue;
        picked[live++] = cell.bytes[i];
        const bool is_known =
            std::ranges::any_of(known, [&](const Codeword& w) { return w[position] == cell.bytes[i]; });
        if (!is_known) fresh[unknown++] = cell.bytes[i];
    }
    if (live > 1 && unknown > 0) {
        picked = fresh;
        return unknown;
    }
    return live;
}

Selection Window::select(Choice choice, Tick now, std::size_t k, std::span<const Codeword> known, Interval when) const {
    Selection selection;
    std::array<std::pair<Tick, std::uint8_t>, codeword_length> ages;
    std::size_t present = 0;
    Bytes<codeword_length> dice{};
    if (choice == Choice::random) fill_random(dice);
    for (std::size_t p = 0; p < codeword_length; ++p) {
        const Cell& cell = cells_[p];
        Picked picked{};
        const std::size_t count = pick_live(cell, p, when, known, picked);
        const bool too_old = choice == Choice::recent && count > 0 && now - cell.seen[0] > recent_ticks;
        if (count > 1) selection.conflicted = true;
        if (count == 0 || too_old || (choice == Choice::erase_conflicts && count > 1)) {
            selection.missing[selection.missing_count++] = static_cast<std::uint8_t>(p);
            continue;
        }
        std::size_t which = 0;
        if (choice == Choice::oldest) which = count - 1;
        if (choice == Choice::random) which = dice[p] % count;
        selection.word[p] = picked[which];
        ages[present++] = {now - cell.seen[0], static_cast<std::uint8_t>(p)};
    }
    const std::size_t keep = (k + codeword_length) / 2;
    if (choice == Choice::newest_positions && present > keep) {
        std::nth_element(ages.begin(), ages.begin() + static_cast<std::ptrdiff_t>(keep),
                         ages.begin() + static_cast<std::ptrdiff_t>(present));
        for (std::size_t i = keep; i < present; ++i) selection.missing[selection.missing_count++] = ages[i].second;
    }
    return selection;
}

std::size_t Window::agreeing(const Codeword& word, Tick now) const {
    std::size_t count = 0;
    for (std::size_t p = 0; p < codeword_length; ++p)
        for (std::size_t i = 0; i < cells_[p].count; ++i)
            if (cells_[p].bytes[i] == word[p] && is_live(cells_[p].seen[i], now)) ++count;
    return count;
}

Tick Window::first_heard(const Codeword& word, Tick now) const {
    Tick longest_ago = 0;
    for (std::size_t p = 0; p < codeword_length; ++p)
        for (std::size_t i = 0; i < cells_[p].count; ++i)
            if (cells_[p].bytes[i] == word[p] && is_live(cells_[p].seen[i], now))
                longest_ago = std::max(longest_ago, now - cells_[p].seen[i]);
    return now - longest_ago;
}

void Window::remove(Symbol symbol) {
    Cell& cell = cells_[symbol.position];
    const auto end = cell.bytes.begin() + cell.count;
    const auto found = std::find(cell.bytes.begin(), end, symbol.byte);
    if (found == end) return;
    const auto seen = cell.seen.begin() + (found - cell.bytes.begin());
    std::move(found + 1, end, found);
    std::move(seen + 1, cell.seen.begin() + cell.count, seen);
    --pairs_;
    if (--cell.count == 0) --positions_;
}

void Window::finish(const Codeword& word, Tick now) {
    for (std::size_t p = 0; p < codeword_length; ++p) remove({static_cast<std::uint8_t>(p), word[p]});
    const auto already = std::ranges::find_if(swallowed_, [&](const Swallowed& s) { return s.used && s.word == word; });
    Swallowed& slot = already != swallowed_.end() ? *already : swallowed_[next_swallowed_++ % most_swallowed];
    slot = {word, now, true};
    if (pending == word) pending.reset();
}

void Window::reject(const Codeword& word) {
    rejected_[next_rejected_++ % rejected_.size()] = word;
    if (pending == word) pending.reset();
}

bool Window::is_rejected(const Codeword& word) const { return std::ranges::find(rejected_, word) != rejected_.end(); }

}  // namespace oneknock
