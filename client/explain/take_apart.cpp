#include "client/explain/take_apart.hpp"

#include <array>

#include "common/protocol/codebook.hpp"
#include "common/protocol/codeword.hpp"
#include "common/protocol/key_schedule.hpp"

namespace oneknock {
namespace {

// The symbols that have come of one word.
class Word {
public:
    [[nodiscard]] bool has_another_for(Symbol symbol) const {
        const auto& place = bytes_.at(symbol.position);
        return place && *place != symbol.byte;
    }
    void put(Symbol symbol) { bytes_.at(symbol.position) = symbol.byte; }

    [[nodiscard]] std::vector<std::uint8_t> missing() const {
        std::vector<std::uint8_t> positions;
        for (std::uint8_t i = 0; i < codeword_length; ++i)
            if (!bytes_.at(i)) positions.push_back(i);
        return positions;
    }
    [[nodiscard]] Codeword bytes() const {
        Codeword word{};
        for (std::size_t i = 0; i < codeword_length; ++i) word.at(i) = bytes_.at(i).value_or(0);
        return word;
    }
    [[nodiscard]] std::size_t differences(const Codeword& corrected) const {
        std::size_t count = 0;
        for (std::size_t i = 0; i < codeword_length; ++i) count += bytes_.at(i) && *bytes_.at(i) != corrected.at(i);
        return count;
    }

private:
    std::array<std::optional<std::uint8_t>, codeword_length> bytes_{};
};

struct Keys {
    explicit Keys(const KeyFile& key)
        : message(derive_message_keys(key.client.secret)), hint(derive_hint_key(key.client.secret)) {}
    MessageKeys message;
    Secret32 hint;
};

std::optional<TakenApart> read(const Word& word, const KeyFile& key, const Keys& keys, Epoch hour) {
    const auto missing = word.missing();
    for (const Family family : {Family::ipv4, Family::ipv6}) {
        const Code code(family);
        if (missing.size() > codeword_length - code.k()) continue;
        const auto corrected = code.decode(word.bytes(), missing);
        if (!corrected) continue;
        const Message message = code.message_of(*corrected);
        if (auto request = unseal(message, keys.message, key.door.id))
            return TakenApart{hour,
                              codeword_length - missing.size(),
                              word.differences(*corrected),
                              message,
                              message.hint() == hint_for(keys.hint, hour),
                              *request};
    }
    return std::nullopt;
}

Codebook book_of(const KeyFile& key, Epoch hour) {
    return Codebook::build(codebook_seed(key.door.secret, key.door.id, hour), key.door.span);
}

std::vector<TakenApart> read_in_hour(std::span<const std::uint16_t> ports, const KeyFile& key, const Keys& keys,
                                     Epoch hour) {
    const Codebook book = book_of(key, hour);
    std::vector<TakenApart> found;
    Word word;
    const auto end_if_whole = [&] {
        auto knock = read(word, key, keys, hour);
        if (!knock) return;
        if (found.empty() || found.back().message != knock->message) found.push_back(*std::move(knock));
        word = {};
    };
    for (const std::uint16_t port : ports) {
        const auto symbol = book.symbol(port);
        if (!symbol) continue;
        // The next word begins, or one of the two is a stranger's packet, which the code corrects.
        if (word.has_another_for(*symbol)) end_if_whole();
        word.put(*symbol);
    }
    end_if_whole();
    return found;
}

// From the one after now's back.
template <class Visit>
void visit_hours(UnixTime now, std::chrono::hours ago, Visit visit) {
    const std::uint64_t latest = epoch_of(now).value + 1;
    const auto count = static_cast<std::uint64_t>(ago.count()) + 2;
    for (std::uint64_t back = 0; back < count && back <= latest; ++back) visit(Epoch{latest - back});
}

}  // namespace

std::vector<TakenApart> take_apart(std::span<const std::uint16_t> ports, const KeyFile& key, UnixTime now,
                                   std::chrono::hours ago) {
    const Keys keys(key);
    std::vector<TakenApart> found;
    visit_hours(now, ago, [&](Epoch hour) {
        auto more = read_in_hour(ports, key, keys, hour);
        found.insert(found.begin(), more.begin(), more.end());
    });
    return found;
}

BestHour best_hour(std::span<const std::uint16_t> ports, const KeyFile& key, UnixTime now, std::chrono::hours ago) {
    BestHour best;
    visit_hours(now, ago, [&](Epoch hour) {
        const Codebook book = book_of(key, hour);
        std::size_t symbols = 0;
        for (const std::uint16_t port : ports) symbols += book.symbol(port).has_value();
        if (symbols > best.symbols) best = {hour, symbols};
    });
    return best;
}

}  // namespace oneknock
