#include "server/gatekeeper/verifier.hpp"

#include <algorithm>
#include <span>

#include "common/key_schedule.hpp"

namespace oneknock {

// All that there is by client and by key, in the making.
struct Verifier::Keys {
    Keys(const std::list<HintTable>& before, std::size_t most_clients) : old_tables(before), hints(before.size()) {
        clients.reserve(most_clients);
        keys.reserve(most_clients);
    }

    // A client that has not changed, with its keys and the number of the first.
    void keep(Client& client, std::span<Key> its, HintTable::KeyNumber first) {
        const auto number = static_cast<std::uint32_t>(clients.size());
        for (std::uint32_t g = 0; g < its.size(); ++g) keys.push_back({number, g, std::move(its[g].hint_key)});
        auto hint = hints.begin();
        for (const HintTable& table : old_tables) {
            for (std::uint32_t g = 0; g < its.size(); ++g) hint->push_back(table.hint_of(first + g));
            ++hint;
        }
        clients.push_back(std::move(client));
    }
    void add(PreparedClient& prepared) {
        const auto number = static_cast<std::uint32_t>(clients.size());
        for (std::uint32_t g = 0; g < prepared.hint_keys.size(); ++g)
            keys.push_back({number, g, std::move(prepared.hint_keys[g])});
        auto hint = hints.begin();
        for (const HintTable& table : old_tables) {
            for (const auto& [epoch, value] : prepared.hints)
                if (epoch == table.epoch()) hint->push_back(load_u16be(value.bytes.data()));
            ++hint;
        }
        clients.push_back(std::move(prepared.client));
    }
    // Those that have a hint of every key.
    [[nodiscard]] std::list<HintTable> tables() {
        std::list<HintTable> complete;
        auto hint = hints.begin();
        for (const HintTable& table : old_tables) {
            if (hint->size() == keys.size()) complete.emplace_back(table.epoch(), std::move(*hint));
            ++hint;
        }
        return complete;
    }

    const std::list<HintTable>& old_tables;
    std::vector<Client> clients;
    std::vector<Key> keys;
    std::vector<std::vector<std::uint16_t>> hints;  // of each of the tables
};

Verifier::Verifier(KeyChange keys) {
    change(std::move(keys));
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

void Verifier::change(KeyChange change) {
    if (change.door) keyring_.door = std::move(*change.door);
    if (change.clients.empty() && change.gone.empty()) return;
    tables_.remove_if([](const HintTable& table) { return !table.complete(); });
    Keys keys(tables_, keyring_.clients.size() + change.clients.size());
    HintTable::KeyNumber number = 0;  // of the first key of the client
    auto changed = change.clients.begin();
    for (Client& client : keyring_.clients) {
        while (changed != change.clients.end() && changed->first < client.name) keys.add((changed++)->second);
        const auto count = static_cast<HintTable::KeyNumber>(client.generations.size());
        if (changed != change.clients.end() && changed->first == client.name) keys.add((changed++)->second);
        else if (!change.gone.contains(client.name)) keys.keep(client, {keys_.data() + number, count}, number);
        number += count;
    }
    while (changed != change.clients.end()) keys.add((changed++)->second);
    tables_ = keys.tables();
    keyring_.clients = std::move(keys.clients);
    keys_ = std::move(keys.keys);
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
