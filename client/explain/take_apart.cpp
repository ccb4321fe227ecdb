#include "client/explain/take_apart.hpp"

#include <algorithm>
#include <array>
#include <bitset>

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
    [[nodiscard]] bool has(std::size_t position) const { return bytes_.at(position).has_value(); }

private:
    std::array<std::optional<std::uint8_t>, codeword_length> bytes_{};
};

struct Keys {
    explicit Keys(const KeyFile& key)
        : message(derive_message_keys(key.client.secret)), hint(derive_hint_key(key.client.secret)) {}
    MessageKeys message;
    Secret32 hint;
};

Codebook book_of(const KeyFile& key, Epoch hour) {
    return Codebook::build(codebook_seed(key.door.secret, key.door.id, hour), key.door.span);
}

// One hour's codebook, and the ports that are read with it.
class Hour {
public:
    Hour(const KeyFile& key, const Keys& keys, Epoch epoch, std::span<const std::uint16_t> ports)
        : key_(key), keys_(keys), epoch_(epoch), book_(book_of(key, epoch)), ports_(ports) {
        for (const std::uint16_t port : ports) seen_.set(port);
    }

    [[nodiscard]] std::vector<TakenApart> read_all() {
        Word word;
        for (const std::uint16_t port : ports_) {
            const auto symbol = book_.symbol(port);
            if (!symbol) continue;
            // The next word begins, or one of the two is a stranger's packet, which the code corrects.
            if (word.has_another_for(*symbol)) end_if_whole(word);
            word.put(*symbol);
        }
        end_if_whole(word);
        return std::move(found_);
    }

private:
    void end_if_whole(Word& word) {
        const auto knock = read(word);
        if (!knock) return;
        const auto is_it = [&](const TakenApart& other) { return other.message == knock->message; };
        if (std::ranges::none_of(found_, is_it)) found_.push_back(*knock);
        word = {};
    }

    [[nodiscard]] std::optional<TakenApart> read(const Word& word) const {
        const auto missing = word.missing();
        for (const Family family : {Family::ipv4, Family::ipv6}) {
            const Code code(family);
            if (missing.size() > codeword_length - code.k()) continue;
            const auto corrected = code.decode(word.bytes(), missing);
            if (!corrected) continue;
            const Message message = code.message_of(*corrected);
            if (auto request = unseal(message, keys_.message, key_.door.id)) {
                TakenApart knock{epoch_, 0, 0, message, message.hint() == hint_for(keys_.hint, epoch_), *request};
                count(knock, word, *corrected);
                return knock;
            }
        }
        return std::nullopt;
    }

    // What has come of it, be it before or after what was enough to read it.
    void count(TakenApart& knock, const Word& word, const Codeword& corrected) const {
        for (std::uint8_t position = 0; position < codeword_length; ++position) {
            const bool has_come = seen_.test(book_.port({position, corrected.at(position)}));
            knock.symbols += has_come;
            knock.wrong += !has_come && word.has(position);
        }
    }

    const KeyFile& key_;
    const Keys& keys_;
    Epoch epoch_;
    Codebook book_;
    std::span<const std::uint16_t> ports_;
    std::bitset<65536> seen_;
    std::vector<TakenApart> found_;
};

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
        auto more = Hour(key, keys, hour, ports).read_all();
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
