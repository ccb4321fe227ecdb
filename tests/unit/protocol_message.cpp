#include "common/protocol/message.hpp"

#include "tests/catch.hpp"

using namespace oneknock;

namespace {

struct Sealed {
    MessageKeys keys = derive_message_keys(Secret32::random());
    DoorId door{{1, 2, 3}};
    Request request;
    Message message;

    explicit Sealed(const char* address) {
        request.port = 22;
        request.time = 1'800'000'000;
        request.duration_s = 30;
        request.address = *Address::parse(address);
        message = seal(request, keys, door, Hint{{0xab, 0xcd}});
    }
};

}  // namespace

TEST_CASE("a sealed message opens to its request with its keys and for its door alone") {
    for (const char* address : {"192.0.2.7", "2001:db8::7"}) {
        const Sealed sealed(address);
        CHECK(unseal(sealed.message, sealed.keys, sealed.door) == sealed.request);
        CHECK(sealed.message.hint() == Hint{{0xab, 0xcd}});
        CHECK_FALSE(unseal(sealed.message, derive_message_keys(Secret32::random()), sealed.door));
        CHECK_FALSE(unseal(sealed.message, sealed.keys, DoorId{{1, 2, 4}}));
    }
}

TEST_CASE("every single-bit change of a message is refused") {
    for (const char* address : {"192.0.2.7", "2001:db8::7"}) {
        const Sealed sealed(address);
        for (std::size_t bit = 0; bit < sealed.message.length() * 8; ++bit) {
            Message changed = sealed.message;
            changed.bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
            CHECK_FALSE(unseal(changed, sealed.keys, sealed.door));
        }
    }
}

TEST_CASE("two equal requests differ by their nonce in tag and hint mask") {
    Sealed sealed("192.0.2.7");
    sealed.request.nonce = {9, 9, 9, 9};
    const Message other = seal(sealed.request, sealed.keys, sealed.door, sealed.message.hint());
    CHECK(other.tag() != sealed.message.tag());
    CHECK(other.hint() == sealed.message.hint());
}
