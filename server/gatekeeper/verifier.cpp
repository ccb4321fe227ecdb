#include "server/gatekeeper/verifier.hpp"

#include <algorithm>

#include "common/key_schedule.hpp"

namespace oneknock {

Verifier::Verifier(Keyring keyring) : keyring_(std::move(keyring)) {
    for (std::size_t c = 0; c < keyring_.clients.size(); ++c)
        for (std::size_t g = 0; g < keyring_.clients[c].generations.size(); ++g)
            keys_.push_back({static_cast<std::uint32_t>(c), static_cast<std::uint32_t>(g),
                             derive_hint_key(keyring_.clients[c].generations[g].secret)});
    static_cast<void>(derive_message_keys(Secret32()));  // so that there is room for those of each knock
}

std::optional<Verifier::Match> Verifier::verify(const Message& message, Epoch epoch) {
    const auto table = std::ranges::find(tables_, epoch, &HintTable::epoch);
    if (table == tables_.end()) return std::nullopt;
    if (!table->complete()) advance(*table, keys_.size());  // a knock came before its hour was prepared
    std::optional<Match> match;
    table->for_each(message.hint(), [&](HintTable::KeyNumber number) {
        if (match) return;
        const Client& client = keyring_.clients[keys_[number].client];
        const Generation& generation = client.generations[keys_[number].generation];
        if (const auto request = unseal(message, derive_message_keys(generation.secret), keyring_.door.id))
            match = Match{&client, &generation, *request};
    });
    return match;
}

void Verifier::want(const std::vector<Epoch>& epochs) {
    tables_.remove_if([&](const HintTable& table) { return std::ranges::find(epochs, table.epoch()) == epochs.end(); });
    for (const Epoch epoch : epochs)
        if (std::ranges::find(tables_, epoch, &HintTable::epoch) == tables_.end()) tables_.emplace_back(epoch, keys_.size());
}

std::vector<Epoch> Verifier::wanted() const {
    std::vector<Epoch> epochs;
    for (const HintTable& table : tables_) epochs.push_back(table.epoch());
    return epochs;
}

bool Verifier::prepare(std::size_t keys) {
    for (HintTable& table : tables_)
        if (!table.complete()) {
            advance(table, keys);
            return true;
        }
    return false;
}

void Verifier::advance(HintTable& table, std::size_t keys) {
    for (std::size_t i = table.size(); i < keys_.size() && keys > 0; ++i, --keys)
        table.add(hint_for(keys_[i].hint_key, table.epoch()));
}

}  // namespace oneknock
