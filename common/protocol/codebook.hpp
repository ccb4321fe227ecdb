// The keyed shuffle of the port span that gives each symbol its port for one hour (docs/protocol.md, "Codebook").
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "common/protocol/constants.hpp"
#include "common/protocol/port_span.hpp"
#include "common/secret.hpp"

namespace oneknock {

struct Symbol {
    std::uint8_t position;  // 0..63
    std::uint8_t byte;
    friend bool operator==(const Symbol&, const Symbol&) = default;
};

class Codebook {
public:
    // Costs a third of a millisecond with the widest span.
    [[nodiscard]] static Codebook build(const Secret32& seed, const PortSpan& span);

    [[nodiscard]] std::uint16_t port(Symbol symbol) const { return tables_->port[index(symbol)]; }
    [[nodiscard]] std::optional<Symbol> symbol(std::uint16_t port) const {
        const std::uint16_t found = tables_->symbol[port];
        if (found == nothing) return std::nullopt;
        return Symbol{static_cast<std::uint8_t>(found >> 8), static_cast<std::uint8_t>(found)};
    }

    friend bool operator==(const Codebook& one, const Codebook& other) {
        return one.tables_->symbol == other.tables_->symbol;
    }

private:
    static constexpr std::uint16_t nothing = 0xffff;
    static constexpr std::size_t index(Symbol symbol) { return symbol.position * 256U + symbol.byte; }

    struct Tables {
        std::array<std::uint16_t, symbol_count> port;
        std::array<std::uint16_t, 65536> symbol;  // `nothing`, or the symbol's index
        Tables() { symbol.fill(nothing); }
        ~Tables() { wipe(this, sizeof *this); }
        Tables(const Tables&) = delete;
        Tables& operator=(const Tables&) = delete;
    };
    std::unique_ptr<Tables> tables_ = std::make_unique<Tables>();
};

// What Codebook::build(seed, span).port() gives for the word's symbols, without the tables: for whoever knocks once.
[[nodiscard]] std::array<std::uint16_t, codeword_length> ports_of(std::span<const std::uint8_t, codeword_length> word,
                                                                  const Secret32& seed, const PortSpan& span);

}  // namespace oneknock
