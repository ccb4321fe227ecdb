// What a stranger's packet costs: two million random SYNs in a capture file, read by libpcap alone and through the
// whole listener, with the keys of one client and of 100,000 behind it. Counts what is allocated on the way.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>

#include <benchmark/benchmark.h>
#include <pcap/pcap.h>

#include "tests/bench/costs/allocations.hpp"
#include "tests/bench/costs/listener.hpp"

using namespace oneknock;

namespace {

constexpr int packets = 2'000'000;
constexpr BenchListener::Turn turn{1024, Instant{1'000'000}};  // about a million packets a second

struct CaptureFile {
    pcap_t* handle;
    explicit CaptureFile(const std::string& path) {
        char error[PCAP_ERRBUF_SIZE];
        handle = pcap_open_offline(path.c_str(), error);
        if (handle == nullptr) std::abort();
    }
    ~CaptureFile() { pcap_close(handle); }
    CaptureFile(const CaptureFile&) = delete;
    CaptureFile& operator=(const CaptureFile&) = delete;
};

// A file of Ethernet frames: IPv4, TCP, SYN; source address, source port and destination port random.
class RandomSyns {
public:
    RandomSyns()
        : path_(std::filesystem::temp_directory_path() / ("oneknock-syns-" + std::to_string(::getpid()) + ".pcap")) {
        pcap_t* dead = pcap_open_dead(DLT_EN10MB, 160);
        pcap_dumper_t* dumper = pcap_dump_open(dead, path_.c_str());
        if (dumper == nullptr) std::abort();
        Bytes<54> frame{0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x08, 0x00, 0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6};
        frame[30] = 10, frame[31] = 77, frame[32] = 0, frame[33] = 1;
        frame[46] = 0x50, frame[47] = 0x02;
        std::mt19937_64 random(1);
        for (int i = 0; i < packets; ++i) {
            const std::uint64_t bits = random();
            store_u32be(&frame[26], static_cast<std::uint32_t>(bits >> 32));
            store_u32be(&frame[34], static_cast<std::uint32_t>(bits));
            pcap_pkthdr header{{i / 1'000'000, i % 1'000'000}, frame.size(), frame.size()};
            pcap_dump(reinterpret_cast<u_char*>(dumper), &header, frame.data());
        }
        pcap_dump_close(dumper);
        pcap_close(dead);
    }
    ~RandomSyns() { std::filesystem::remove(path_); }
    RandomSyns(const RandomSyns&) = delete;
    RandomSyns& operator=(const RandomSyns&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }

private:
    std::string path_;
};

const RandomSyns& syns() {
    static const RandomSyns file;
    return file;
}

void empty_pcap_loop(benchmark::State& state) {
    for (auto _ : state) {
        const CaptureFile file(syns().path());
        pcap_loop(
            file.handle, -1, [](u_char*, const pcap_pkthdr*, const u_char*) {}, nullptr);
    }
    state.SetItemsProcessed(state.iterations() * packets);
}

void whole_listener(benchmark::State& state) {
    BenchDoor door(static_cast<std::size_t>(state.range(0)));
    BenchListener listener(door, turn);
    const auto hand_over = [](u_char* user, const pcap_pkthdr* header, const u_char* bytes) {
        reinterpret_cast<BenchListener*>(user)->frame({bytes, header->caplen});
    };
    const auto read_all = [&] {
        const CaptureFile file(syns().path());
        pcap_loop(file.handle, -1, hand_over, reinterpret_cast<u_char*>(&listener));
    };
    read_all();  // the tables are full from here on
    const std::uint64_t before = allocations();
    for (auto _ : state) read_all();
    const auto per_file = static_cast<double>(allocations() - before) / static_cast<double>(state.iterations());
    state.counters["allocations_per_packet"] = per_file / packets;
    state.SetItemsProcessed(state.iterations() * packets);
}

}  // namespace

BENCHMARK(empty_pcap_loop)->Unit(benchmark::kMillisecond);
BENCHMARK(whole_listener)->Arg(1)->Arg(100'000)->Unit(benchmark::kMillisecond);
