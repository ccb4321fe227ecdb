#include "server/oneshot/read_capture.hpp"

#include <deque>
#include <set>

#include <nlohmann/json.hpp>

#include "common/fd.hpp"
#include "common/json_text.hpp"
#include "common/log.hpp"
#include "common/protocol/codeword.hpp"
#include "common/protocol/key_schedule.hpp"
#include "common/text.hpp"
#include "keys/keyring.hpp"
#include "server/gatekeeper/decide/decider.hpp"
#include "server/gatekeeper/decide/decision_log.hpp"
#include "server/gatekeeper/keys/book_validity.hpp"
#include "server/listener/assembler.hpp"
#include "server/listener/capture_file.hpp"
#include "server/listener/packet.hpp"

namespace oneknock {
namespace {

std::string text_of(const Decision& decision, UnixTime when) {
    std::string line = time_text(when) + " ";
    if (!decision.refused) line += "accepted: " + describe(decision);
    else if (decision.verified) line += "refused: " + describe_refusal(decision, *decision.refused);
    else line += "refused: unknown-key, from " + decision.source.text();
    return line;
}

std::string json_of(const Decision& decision, UnixTime when) {
    using nlohmann::ordered_json;
    const bool known = decision.verified;
    ordered_json line{{"time", time_text(when)},
                      {"source", decision.source.text()},
                      {"client", known ? ordered_json(decision.client) : ordered_json()},
                      {"operation", known ? ordered_json(operation_name(decision.request.operation)) : ordered_json()},
                      {"protocol", known ? ordered_json(protocol_name(decision.request.protocol)) : ordered_json()},
                      {"port", known ? ordered_json(decision.request.port) : ordered_json()},
                      {"decision", decision.refused ? "refused" : "accepted"},
                      {"reason", decision.refused ? ordered_json(reason_name(*decision.refused)) : ordered_json()}};
    if (known) {
        line["address"] = decision.address.text();
        line["generation"] = decision.generation;
        line["skew_s"] = decision.skew.count();
        if (!decision.refused) line["duration_s"] = decision.duration.count();
    }
    return json::text(line);
}

// The listener and the gatekeeper in one: candidates are decided on where they are found.
class Explainer final : public CandidateSink {
public:
    Explainer(Decider decider, Seconds tolerance, bool as_json)
        : decider_(std::move(decider)), tolerance_(tolerance), as_json_(as_json), assembler_(*this) {}

    // Time is the file's, but never goes back.
    void frame(const CaptureFile::Frame& frame) {
        ++packets_;
        const auto packet = parse_packet(frame.link, frame.bytes);
        if (!packet && frame.is_cut) ++cut_;
        if (!packet) return;
        const Instant at = std::max(now_.steady, Instant{frame.time.time_since_epoch()});
        catch_up(at);
        now_ = {std::chrono::floor<Seconds>(frame.time), at};
        prepare_books();
        assembler_.packet(*packet, now_);
        answer();
    }

    // What waits for time to pass.
    void finish() { catch_up(now_.steady + Seconds{1}); }
    [[nodiscard]] const Result<void>& printed() const { return printed_; }

    // Silence could mean anything: what was looked at, where there is no decision.
    [[nodiscard]] Result<void> explain_silence(const std::string& name) const {
        if (decisions_ > 0) return {};
        if (cut_ == 0) {
            log::info(name + ": no knock at this door in " + counted(packets_, "packet"));
            return {};
        }
        return fail(ExitCode::data, name + ": no knock at this door, but " + std::to_string(cut_) + " of " +
                                        counted(packets_, "packet") +
                                        " were cut too short to be read; capture with a longer snap length, "
                                        "such as: tcpdump -s 160");
    }

    bool offer(const Candidate& candidate) override {
        candidates_.push_back(candidate);
        return true;
    }

private:
    void catch_up(Instant until) {
        while (const auto due = assembler_.next_due()) {
            if (*due > until) return;
            now_.steady = std::max(now_.steady + std::chrono::microseconds{1}, *due);
            assembler_.advance(now_.steady);
            answer();
        }
    }

    void answer() {
        while (!candidates_.empty()) {
            const Candidate candidate = candidates_.front();
            candidates_.pop_front();
            for (const Decision& decision : decider_.decide_and_record({candidate}, now_)) {
                ++decisions_;
                if (printed_)
                    printed_ = print_line(as_json_ ? json_of(decision, now_.wall) : text_of(decision, now_.wall));
                assembler_.verdict(candidate.id, decision.verified, now_.steady);
            }
        }
    }

    void prepare_books() {
        if (books_until_ > now_.wall && now_.wall >= books_from_) return;
        const auto epochs = wanted_epochs(now_.wall, tolerance_);
        books_from_ = now_.wall;
        books_until_ = next_change(now_.wall, tolerance_);
        decider_.verifier().set_epochs(epochs);
        const Door& door = decider_.verifier().keyring().door;
        for (const Epoch epoch : epochs)
            for (const Generation& generation : door.generations) {
                const auto [from, until] = validity_of_book(epoch, generation, tolerance_);
                assembler_.add_book({epoch, generation.number, from, until,
                                     Codebook::build(codebook_seed(generation.secret, door.id, epoch), door.span)});
            }
    }

    Decider decider_;
    Seconds tolerance_;
    bool as_json_;
    std::uint64_t packets_ = 0, cut_ = 0, decisions_ = 0;
    Result<void> printed_;
    Assembler assembler_;
    Now now_{};
    UnixTime books_from_{}, books_until_{};
    std::deque<Candidate> candidates_;
};

// As the daemon at a start: a client whose file is wrong is kept out, and no other.
Result<Keyring> load_readable(const DaemonConfig& config) {
    auto found =
        load_door(config.door).and_then([&](Door&& d) { return load_what_is_right(std::move(d), config.clients); });
    if (!found) return tl::unexpected(found.error());
    for (const Error& problem : found->problems) log::warning(problem.message + "; no client is read from it");
    return std::move(found->keyring);
}

}  // namespace

Result<void> read_capture(const DaemonConfig& config, const std::string& file, bool as_json) {
    auto keyring = load_readable(config);
    if (!keyring) return tl::unexpected(keyring.error());
    auto capture = CaptureFile::open(file);
    if (!capture) return tl::unexpected(capture.error());
    auto record = Record::open("", keyring->door.id, {}, config.tolerance);
    if (!record) return tl::unexpected(record.error());
    auto audit = Audit::open("", {});
    if (!audit) return tl::unexpected(audit.error());
    Explainer explainer(Decider(Verifier(std::move(*keyring)), std::move(*record), std::move(*audit),
                                {config.tolerance, config.grant_default, config.grant_maximum, std::nullopt, {}}),
                        config.tolerance, as_json);
    auto frame = capture->next();
    for (; frame && *frame && explainer.printed(); frame = capture->next()) explainer.frame(**frame);
    explainer.finish();
    if (!frame) return tl::unexpected(frame.error());
    if (!explainer.printed()) return explainer.printed();
    if (const auto all = capture->unreadable(); !all) return all;
    return explainer.explain_silence(file == "-" ? "standard input" : file);
}

}  // namespace oneknock
