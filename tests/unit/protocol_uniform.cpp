// What somebody sees who records knocks and holds no key: nothing that tells one port, or one knock, from another. Keys
// and nonces are counted up, so that each run computes the same.
#include <cmath>

#include "common/protocol/knock.hpp"
#include "tests/catch.hpp"

using namespace oneknock;

namespace {

constexpr std::uint32_t midday = 1'800'001'800;  // the middle of an hour
constexpr int knocks = 1024;

// Pearson's statistic of counts that should be alike, in standard deviations from what chance gives. Beyond seven comes
// up once in some 10^9 runs with other keys.
template <std::size_t cells>
double excess(const std::array<int, cells>& counts) {
    const double expected = static_cast<double>(knocks) / cells;
    double sum = 0;
    for (const int count : counts) sum += (count - expected) * (count - expected) / expected;
    return (sum - (cells - 1)) / std::sqrt(2.0 * (cells - 1));
}

Knock numbered_knock(std::uint32_t number, std::uint32_t time) {
    Request request;
    request.port = 22;
    request.time = time;
    request.duration_s = 30;
    request.address = *Address::parse("192.0.2.7");
    store_u32be(request.nonce.data(), number);
    const Secret32 client = Secret32::from(Bytes<32>{1}), door = Secret32::from(Bytes<32>{2});
    return make_knock(request, client, door, DoorId{{3}}, PortSpan());
}

}  // namespace

TEST_CASE("no byte of a client's knocks in one hour comes more often than others, at any position", "[unsanitized]") {
    std::array<std::array<int, 256>, codeword_length> counts{};
    for (std::uint32_t number = 0; number < knocks; ++number) {
        const auto& word = numbered_knock(number, midday).codeword;
        for (std::size_t position = 0; position < codeword_length; ++position) ++counts[position][word[position]];
    }
    for (std::size_t position = 0; position < codeword_length; ++position) {
        INFO("position " << position);
        CHECK(excess(counts[position]) < 7);
    }
}

TEST_CASE("from hour to hour the ports of a knock are spread evenly over the span, at each position", "[unsanitized]") {
    constexpr std::size_t cells = 64;
    constexpr std::uint32_t first = 1024, ports_a_cell = (65536 - first) / cells;
    std::array<std::array<int, cells>, codeword_length> ports{}, steps{};
    for (std::uint32_t number = 0; number < knocks; ++number) {
        const auto& knock = numbered_knock(number, midday + 3600 * number);
        for (std::size_t position = 0; position < codeword_length; ++position) {
            const std::uint32_t port = knock.ports[position] - first;
            const std::uint32_t next = knock.ports[(position + 1) % codeword_length] - first;
            ++ports[position][port / ports_a_cell];
            ++steps[position][(next - port + 65536 - first) % (65536 - first) / ports_a_cell];
        }
    }
    for (std::size_t position = 0; position < codeword_length; ++position) {
        INFO("position " << position);
        CHECK(excess(ports[position]) < 7);
        CHECK(excess(steps[position]) < 7);
    }
}
