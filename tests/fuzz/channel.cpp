// Datagrams between the rooms, through a channel, and what each room does with those that are well-formed.
#include "server/privsep/channel.hpp"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/protocol/codebook.hpp"
#include "server/firewall/table/element_key.hpp"
#include "server/gatekeeper/keys/key_loading.hpp"
#include "tests/fuzz/gatekeeper.hpp"
#include "tests/unit/keys_texts.hpp"

namespace oneknock::fuzz {
namespace {

constexpr std::size_t most_datagrams = 32;

// Every type that may cross, in the order of the fuzzer's choices.
template <class Function>
void for_each_type(Function function) {
    const auto call = [&]<class... T>(std::type_identity<T>...) { (function(T{}), ...); };
    call(std::type_identity<Candidate>{}, std::type_identity<CaptureReport>{}, std::type_identity<BookSeed>{},
         std::type_identity<WordVerdict>{}, std::type_identity<ReportRequest>{}, std::type_identity<GrantRequest>{},
         std::type_identity<GrantReply>{}, std::type_identity<AdoptedGrant>{}, std::type_identity<PassedKeyFile>{},
         std::type_identity<KeyFilesEnd>{}, std::type_identity<TrialConfirmed>{}, std::type_identity<ReloadRequest>{},
         std::type_identity<Ready>{}, std::type_identity<DoorSpan>{}, std::type_identity<DoorServices>{},
         std::type_identity<TrialReply>{}, std::type_identity<MissingKeyFile>{}, std::type_identity<KeysAnswer>{},
         std::type_identity<GatekeeperSettings>{}, std::type_identity<RecordedGrant>{},
         std::type_identity<AdoptionEnd>{}, std::type_identity<ForeignElements>{},
         std::type_identity<UnopenedKeyFile>{}, std::type_identity<SettleRequest>{}, std::type_identity<Settled>{});
}

// Of a type, filled with what the fuzzer has, or only that.
Bytes take_datagram(Input& input) {
    const std::uint8_t choice = input.u8();
    Bytes bytes;
    std::uint8_t number = 0;
    for_each_type([&](const auto& message) {
        if (number++ == choice % 32) append(bytes, datagram_of(message));
    });
    const std::size_t length = input.u16() % (largest_datagram + 64);
    const ByteSpan filling = input.take(length);
    if (bytes.empty()) return {filling.begin(), filling.end()};
    if ((choice & 32) != 0) bytes.resize(bytes.size() + 1);
    const std::size_t head = sizeof(Kind);
    if (bytes.size() > head)
        std::copy_n(filling.begin(), std::min(filling.size(), bytes.size() - head), bytes.begin() + head);
    return bytes;
}

// Memory that is as private as a key file.
Descriptor key_file(std::string_view text) {
    Descriptor file(memfd_create("key", MFD_CLOEXEC));
    HOLDS(file && fchmod(file.get(), 0600) == 0 && write_all(file.get(), as_bytes(text)));
    HOLDS(lseek(file.get(), 0, SEEK_SET) == 0);
    return file;
}

class Rooms {
public:
    void take(Datagram& datagram) {
        int types = 0;
        for_each_type([&](const auto& sample) {
            const auto message = datagram.as<std::decay_t<decltype(sample)>>();
            if (!message) return;
            ++types;
            HOLDS(std::ranges::equal(datagram_of(*message), ByteSpan(datagram.bytes).first(datagram.size)));
            act(*message, datagram);
        });
        HOLDS(types <= 1);
        drain();
    }

private:
    template <class T>
    void act(const T&, Datagram&) {}

    void act(const Candidate& candidate, Datagram&) { parts_.judge(candidate); }
    void act(const CaptureReport& report, Datagram&) { HOLDS(!parts_.control.handle(report, parts_.now.steady)); }
    void act(const TrialReply& reply, Datagram&) { parts_.control.handle(reply); }
    void act(const Settled& settled, Datagram&) { parts_.control.handle(settled, parts_.now.steady); }
    void act(const ForeignElements& foreign, Datagram&) { parts_.control.handle(foreign, parts_.now.steady); }
    void act(const GrantReply& reply, Datagram&) { parts_.take(reply); }
    void act(const AdoptedGrant& grant, Datagram&) { parts_.grants.adopt(grant, parts_.now.steady); }
    void act(const AdoptionEnd&, Datagram&) { parts_.grants.end_adoption(parts_.now.steady); }

    void act(const DoorSpan& told, Datagram&) {
        auto span = PortSpan::from_ranges({told.ranges, told.ranges + told.count});
        if (!span) return;
        HOLDS(span->ports().size() >= smallest_span && span->ports().front() > 0);
        HOLDS(PortSpan::parse(span->text())->ports() == span->ports());
        span_ = *span;
    }
    void act(const BookSeed& seed, Datagram&) {
        const Codebook book = Codebook::build(Secret32::from(seed.seed), span_);
        for (std::uint8_t position = 0; position < codeword_length; ++position)
            HOLDS(book.symbol(book.port({position, 7})) == (Symbol{position, 7}));
    }
    void act(const GrantRequest& request, Datagram&) {
        const GrantKey grant{request.service, request.address};
        HOLDS(grant_of_key(request.address.family, element_key(grant)) == grant);
    }

    void act(const PassedKeyFile& file, Datagram& datagram) {
        loading().file(file, datagram.descriptor ? std::move(datagram.descriptor) : key_file(test::valid_client));
    }
    void act(const UnopenedKeyFile& file, Datagram&) { loading().unopened(file); }
    void act(const MissingKeyFile& file, Datagram&) { loading().missing(file); }
    void act(const KeyFilesEnd& end, Datagram&) {
        auto loaded = loading().finish(end);
        loading_.reset();
        if (loaded) {
            parts_.problems.take_in(*loaded, parts_.decider.verifier().keyring(), parts_.now.steady);
            parts_.decider.change_keys(loaded->change);
            parts_.problems.check_all(parts_.decider.in_force());
        } else {
            parts_.decider.keep_keys();
        }
        parts_.control.reloaded(loaded ? Result<void>{} : tl::unexpected(loaded.error()), end.last_request,
                                parts_.now.steady);
    }
    KeyLoading& loading() {
        if (!loading_)
            loading_.emplace(KeyLoading::InForce{parts_.decider.verifier().keyring()},
                             [this](Client client) { return parts_.decider.prepare(std::move(client)); });
        return *loading_;
    }

    // What the gatekeeper sends is well-formed.
    void drain() {
        Datagram datagram;
        while (parts_.parent.receive(datagram) == Channel::Received::datagram)
            HOLDS(datagram.as<GrantRequest>() || datagram.as<RecordedGrant>());
    }

    GatekeeperParts parts_{Descriptor()};
    PortSpan span_;
    std::optional<KeyLoading> loading_;
};

}  // namespace

void one_input(Input input) {
    Rooms rooms;
    auto [sender, receiver] = std::move(*Channel::make_pair());
    Datagram datagram;
    for (std::size_t i = 0; !input.empty() && i < most_datagrams; ++i) {
        const Bytes bytes = take_datagram(input);
        Descriptor file;
        if (input.flag())
            file = key_file(input.flag()   ? client_text(client_of(members[input.u8() % 4])).text()
                            : input.flag() ? std::string_view(test::valid_door)
                                           : std::string_view("{"));
        const bool sent = file ? sender.try_send_with(bytes, file.get())
                               : send(sender.descriptor(), bytes.data(), bytes.size(), MSG_NOSIGNAL) >= 0;
        HOLDS(sent);
        if (receiver.receive(datagram) != Channel::Received::datagram) continue;  // an empty one
        HOLDS(datagram.size == std::min(bytes.size(), largest_datagram));
        HOLDS(static_cast<bool>(datagram.descriptor) == static_cast<bool>(file));
        rooms.take(datagram);
    }
}

std::vector<Bytes> seeds() {
    std::vector<Bytes> all;
    std::uint8_t number = 0;
    const auto add = [&](std::uint8_t choice, const auto& message) {
        const ByteSpan filling = datagram_of(message).subspan(sizeof(Kind));
        Bytes seed{choice, static_cast<std::uint8_t>(filling.size() >> 8), static_cast<std::uint8_t>(filling.size())};
        append(seed, filling);
        append(seed, Bytes{0});
        all.push_back(seed);
    };
    for_each_type([&](const auto& message) { add(number++, message); });
    add(0, candidate_of(members[0], *Address::parse("192.0.2.7"), true, 1));
    add(0, candidate_of(members[2], *Address::parse("2001:db8::7"), true, 1));
    // A key file that comes as a descriptor, and the end of the load.
    Bytes load = all[8];
    load.back() = 1;
    append(load, Bytes{1, 2});
    KeyFilesEnd end;
    end.count = 1;
    end.asked = true;
    add(9, end);
    append(load, all.back());
    all.push_back(load);
    DoorSpan span;
    span.count = 1;
    span.ranges[0] = {1024, 65535};
    add(13, span);
    return all;
}

}  // namespace oneknock::fuzz
