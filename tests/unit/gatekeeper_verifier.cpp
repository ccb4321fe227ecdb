// Keys that change while the daemon runs: after any sequence of loads the verifier is what one made from the files is.
#include "server/gatekeeper/verify/verifier.hpp"

#include <map>
#include <random>

#include "common/protocol/key_schedule.hpp"
#include "tests/catch.hpp"

using namespace oneknock;

namespace {

constexpr Epoch before{500'000}, now{500'001}, next{500'002};
const DoorId id{{7}};

using Names =
    std::map<std::string, std::vector<std::uint8_t>>;  // of clients, and the first byte of each of their secrets

Secret32 secret(std::uint8_t first, const std::string& name) {
    Secret32 made;
    made.bytes()[0] = first;
    made.bytes()[1] = static_cast<std::uint8_t>(name.back());
    return made;
}

Client client(const std::string& name, const std::vector<std::uint8_t>& secrets) {
    Client made;
    made.name = name;
    for (const std::uint8_t first : secrets)
        made.generations.push_back({static_cast<std::uint32_t>(first), secret(first, name), UnixTime{}, std::nullopt});
    return made;
}

Verifier new_verifier() {
    Keyring keyring;
    keyring.door.id = id;
    return Verifier(std::move(keyring));
}

Message knock(const std::string& name, std::uint8_t first, Epoch epoch) {
    Request request;
    request.address = Address::ipv4(0xc0000207);
    const Secret32 key = secret(first, name);
    return seal(request, derive_message_keys(key), id, hint_for(derive_hint_key(key), epoch));
}

void check(Verifier& verifier, const Names& files, const std::vector<Epoch>& epochs) {
    for (char letter = 'a'; letter <= 'h'; ++letter)
        for (std::uint8_t first = 1; first <= 4; ++first)
            for (const Epoch epoch : epochs) {
                const std::string name(1, letter);
                const auto found = files.find(name);
                const bool known =
                    found != files.end() && std::ranges::find(found->second, first) != found->second.end();
                const auto match = verifier.verify(knock(name, first, epoch), epoch);
                CAPTURE(name, static_cast<int>(first), epoch.value);
                REQUIRE(match.size() == (known ? 1U : 0U));
                if (known) REQUIRE((match[0].client->name == name && match[0].generation->number == first));
            }
    REQUIRE(std::ranges::is_sorted(verifier.keyring().clients, {}, &Client::name));
    REQUIRE(verifier.keyring().clients.size() == files.size());
}

}  // namespace

TEST_CASE("after any changes exactly the keys in the files verify, each as its client's") {
    std::mt19937 random(20261123);  // NOLINT: the same every time
    const auto below = [&](int bound) { return static_cast<int>(random() % static_cast<unsigned>(bound)); };
    for (int round = 0; round < 20; ++round) {
        Verifier verifier = new_verifier();
        Names files;
        std::vector<Epoch> epochs{before, now};
        verifier.set_epochs(epochs);
        for (int load = 0; load < 10; ++load) {
            KeyChange change;
            for (int times = below(4); times > 0; --times) {
                const std::string name(1, static_cast<char>('a' + below(8)));
                if (below(3) == 0) {
                    if (files.erase(name) > 0) change.gone.insert(name);
                    change.clients.erase(name);
                    continue;
                }
                std::vector<std::uint8_t> secrets;
                for (std::uint8_t first = 1; first <= 4; ++first)
                    if (below(2) == 0) secrets.push_back(first);
                if (secrets.empty()) secrets.push_back(1);
                files[name] = secrets;
                change.gone.erase(name);
                change.clients.insert_or_assign(name, prepare_client(client(name, secrets), verifier.epochs()));
            }
            if (below(4) == 0) {  // the hour changes while files are read; sometimes its table is finished in time
                epochs = epochs.back() == now ? std::vector{now, next} : std::vector{before, now};
                verifier.set_epochs(epochs);
                if (below(2) == 0) verifier.build_hints(static_cast<std::size_t>(below(20)));
            }
            verifier.change(change);
            verifier.set_epochs(epochs);
            check(verifier, files, epochs);
        }
    }
}

TEST_CASE("a change leaves the hours that were prepared prepared") {
    Verifier verifier = new_verifier();
    verifier.set_epochs({before, now});
    while (verifier.build_hints(100)) {}
    KeyChange change;
    change.clients.emplace("a", prepare_client(client("a", {1, 2}), verifier.epochs()));
    verifier.change(change);
    CHECK(verifier.epochs() == std::vector{before, now});
    CHECK_FALSE(verifier.build_hints(100));
    KeyChange other;
    other.gone.insert("a");
    verifier.change(other);
    CHECK_FALSE(verifier.build_hints(100));
    check(verifier, {}, {before, now});
}
