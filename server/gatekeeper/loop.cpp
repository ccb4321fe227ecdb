#include "server/gatekeeper/loop.hpp"

#include <algorithm>
#include <cstring>

#include <sys/stat.h>
#include <sys/timerfd.h>

#include "common/log.hpp"
#include "common/poll.hpp"
#include "common/text.hpp"
#include "server/gatekeeper/control/commands.hpp"
#include "server/gatekeeper/decide/decider.hpp"
#include "server/gatekeeper/decide/decision_log.hpp"
#include "server/gatekeeper/decide/knock_latency.hpp"
#include "server/gatekeeper/grants/grant_requests.hpp"
#include "server/gatekeeper/keys/book_schedule.hpp"
#include "server/gatekeeper/keys/key_loading.hpp"
#include "server/gatekeeper/keys/key_problems.hpp"
#include "server/gatekeeper/record/gathering.hpp"
#include "server/gatekeeper/record/maintenance.hpp"
#include "server/gatekeeper/start.hpp"

namespace oneknock {
namespace {

// Of each room: nothing that one sends keeps the others waiting.
constexpr std::size_t most_candidates_a_turn = 256;
constexpr std::size_t most_from_parent_a_turn = 64;
constexpr std::size_t most_key_files_a_turn = 16;  // half a millisecond
constexpr std::size_t hints_a_slice = 250;         // about half a millisecond
constexpr std::size_t discarded_a_slice = 500;     // likewise
constexpr Instant rest_behind_a_slice = std::chrono::microseconds{500};
constexpr std::size_t many_unwritten_lines = 64;  // of the audit: a millisecond, however busy the firewall is
constexpr Instant audit_delay = std::chrono::milliseconds{5};  // by then whoever waited for a port has it
constexpr Instant audit_retry = Seconds{1};                    // where it could not be written

constexpr Seconds longest_wait{3600};  // some times are beyond what a clock can count

constexpr RequestId for_life_sign = 0;  // no connection's number

std::string problem_of(int error, const Decision& decision) {
    const std::string grant = decision.request.service().text() + " for " + decision.address.text();
    if (error == ETIME)
        return "the firewall was not changed in time for " + grant + ": is another program changing it?";
    if (error != ETIMEDOUT) return "the firewall refused to change " + grant + ": " + std::strerror(error);
    return "the kernel did not say in time whether it has changed " + grant + "; if it is listed by oneknockctl " +
           "grants it may be open, and can be closed with: oneknockctl revoke " + decision.client;
}

class Gatekeeper {
public:
    Gatekeeper(GatekeeperParts parts, Descriptor wall_timer, Decider decider, KeyProblems problems, Instant rest)
        : listener_(std::move(parts.listener)),
          parent_(std::move(parts.parent)),
          keys_(std::move(parts.keys)),
          decider_(std::move(decider)),
          problems_(std::move(problems)),
          grants_(parent_, decider_.record(),
                  [this](const auto& client, const auto& service) {
                      return decider_.longest_for(client, service, now_.wall);
                  }),
          control_(std::move(parts.control_socket),
                   {listener_, parent_, decider_, grants_, decisions_, times_, problems_}),
          schedule_(listener_, std::move(wall_timer), decider_.limits().tolerance),
          maintenance_(decider_.limits().tolerance),
          rest_(rest) {}
    Gatekeeper(const Gatekeeper&) = delete;
    Gatekeeper& operator=(const Gatekeeper&) = delete;

    ExitCode run() {
        now_ = read_clocks();
        begin();
        const ExitCode exit = serve();
        write_audit();
        if (const auto lines = decider_.unwritten_lines(); lines > 0) lose_audit_lines(lines);
        return exit;
    }

private:
    ExitCode serve() {
        for (;;) {
            wait();
            now_ = read_clocks();
            candidates_.clear();
            gathers_ = gathering_.goes_on(now_.steady) && polled_.front().revents != 0;
            if (!gathering_.goes_on(now_.steady))
                if (const auto end = handle_listener()) return *end;
            if (const auto end = handle_parent()) return *end;
            if (audit_is_due()) write_audit();
            if (const auto end = handle_keys()) return *end;
            if (recheck_ && now_.wall > *recheck_) close_what_is_no_longer_allowed();
            if (!loading_) take_out(false);  // what a load has looked up is of its own keys
            control_.serve(now_.steady);
            if (schedule_.has_changed() || schedule_.waits_for_room()) prepare_books();
            more_hints_ = decider_.verifier().build_hints(hints_a_slice);
            discard_some();
            maintain_record();
            listener_.flush();
            parent_.flush();
            keys_.flush();
        }
    }

    void begin() {
        control_.begin(now_.steady);
        schedule_.send_span(door());
        prepare_books();
        while (decider_.verifier().build_hints(hints_a_slice)) {}
        answer_load(problems_.all_were_read());
        tell_services();
        grants_.begin_adoption(now_.steady);
        note_expiry();
        parent_.send(Ready{}, HeldGrants::Map::capacity);
        maintenance_.plan(now_.steady);
    }

    // Once for each door that was passed. Behind it no grant is asked for of a service that the firewall does not know.
    void tell_services() {
        DoorServices services;
        for (const auto& [name, service] : door().services) services.services[services.count++] = service;
        parent_.send(services, HeldGrants::Map::capacity + 1);
    }

    // --- waiting and timers -------------------------------------------------------------------------------------

    void wait() {
        polled_.clear();
        polled_.push_back(listener_.polled(schedule_.waits_for_room()));
        if (gathers_) polled_.back().fd = -1;  // they wait for more
        polled_.push_back(parent_.polled());
        const bool rests = std::exchange(has_read_files_, false) && rest_ > Instant{0};
        if (!rests) polled_.push_back(keys_.polled());
        polled_.push_back({schedule_.descriptor(), POLLIN, 0});
        control_.socket().add_to(polled_);
        auto due = earliest(control_.socket().next_due(),
                            maintenance_.next_due(decider_.audit(), now_.steady, somebody_waits()));
        if (!loading_) due = earliest(due, problems_.next_due());
        if (gathers_) due = earliest(due, gathering_.until());
        if (recheck_) due = earliest(due, now_.steady + std::min(*recheck_ + Seconds{1} - now_.wall, longest_wait));
        if (!grants_.awaits_answers()) due = earliest(due, audit_at_);
        if (rests || more_hints_ || !replaced_.empty()) due = earliest(due, read_clocks().steady + rest_);
        poll_until(polled_, due);
    }

    // Whose turn comes by itself.
    [[nodiscard]] bool somebody_waits() const { return gathers_ || grants_.awaits_answers(); }

    void prepare_books() {
        schedule_.prepare(decider_.verifier(), now_.wall);
        more_hints_ = true;
    }

    void maintain_record() {
        const bool busy = !candidates_.empty() || somebody_waits();
        if (const auto tended = maintenance_.run_slice(decider_.record(), decider_.audit(), now_, busy); !tended)
            log::warning(tended.error().message);
    }

    // --- the listener -------------------------------------------------------------------------------------------

    std::optional<ExitCode> handle_listener() {
        for (std::size_t i = 0; i < most_candidates_a_turn; ++i) {
            const auto received = listener_.receive(datagram_);
            if (received == Channel::Received::nothing) break;
            if (received == Channel::Received::closed) {
                log::error("the listener has ended");
                return ExitCode::software;
            }
            const auto candidate = datagram_.as<Candidate>();
            const auto report = datagram_.as<CaptureReport>();
            if (candidate) {
                candidates_.push_back(*candidate);
            } else if (report && report->id == for_life_sign) {
                parent_.send(LifeSign{});
            } else if (!report || !control_.handle(*report, now_.steady)) {
                log::error("gatekeeper: the listener sent something unexpected");
                return ExitCode::software;
            }
        }
        if (!candidates_.empty()) judge();
        return std::nullopt;
    }

    void judge() {
        KnockMoments moments;
        moments.received = now_.steady;
        auto decisions = decider_.decide(candidates_, now_);
        moments.verified = read_clocks().steady;
        decider_.make_durable(decisions, now_);
        moments.recorded = read_clocks().steady;
        gathering_.committed(moments.verified, moments.recorded);
        maintenance_.plan(now_.steady);
        if (decider_.door_has_changed()) {
            schedule_.resend(door());
            prepare_books();
        }
        for (std::size_t i = 0; i < decisions.size(); ++i) {
            moments.first_packet = Instant{candidates_[i].first_packet_ns};
            act_on(decisions[i], moments);
            WordVerdict verdict;  // after the grant: somebody waits for that
            verdict.id = candidates_[i].id;
            verdict.verified = decisions[i].verified;
            listener_.send(verdict);
        }
        decider_.note_for_audit(decisions, now_);
        if (decider_.unwritten_lines() > 0 && !audit_at_) audit_at_ = now_.steady + audit_delay;
    }

    // A moment behind the firewall's answers: the parent and whoever waits for the port need the processor.
    [[nodiscard]] bool audit_is_due() const {
        const bool is_time = audit_at_ && *audit_at_ <= now_.steady && !grants_.awaits_answers();
        return is_time || (!audit_fails_ && decider_.unwritten_lines() >= many_unwritten_lines);
    }

    // It may be locked by who reads it, or its disk be full for a while.
    void write_audit() {
        audit_at_.reset();
        const std::size_t lines = decider_.unwritten_lines();
        const auto written = decider_.write_audit();
        const bool failed_before = std::exchange(audit_fails_, !written);
        if (written) return;
        audit_at_ = now_.steady + audit_retry;
        if (decider_.unwritten_lines() == 0) lose_audit_lines(lines);
        else if (!failed_before)
            decisions_.problem("", written.error().message + "; its lines wait in memory", now_.steady);
    }

    void lose_audit_lines(std::size_t lines) {
        decisions_.problem("", "the audit lacks " + counted(lines, "line") + ": it could not be written", now_.steady);
    }

    void act_on(const Decision& decision, const KnockMoments& moments) {
        if (decision.refused) {
            decisions_.refused(decision, *decision.refused, now_.steady);
            if (*decision.refused == Reason::record_failed)
                decisions_.problem(decision.client, decider_.record_problem(), now_.steady);
        } else if (!grants_.request(decision, moments, moments.recorded)) {
            decisions_.refused(decision, Reason::firewall_failed, now_.steady);
            decisions_.problem(decision.client, "the firewall was not asked: too many requests wait for it",
                               now_.steady);
        } else if (decision.request.is_open()) {
            recheck_by(decider_.expiry_of(decision.client));
            for (const ClientGrant& displaced : grants_.end_displaced(decision.grant(), now_.steady))
                decisions_.displaced(displaced, now_.steady);
        }
    }

    // --- the parent ---------------------------------------------------------------------------------------------

    std::optional<ExitCode> handle_parent() {
        for (std::size_t i = 0; i < most_from_parent_a_turn; ++i) {
            switch (parent_.receive(datagram_)) {
                case Channel::Received::nothing: return std::nullopt;
                case Channel::Received::closed: return ExitCode::ok;
                case Channel::Received::datagram: break;
            }
            if (const auto reply = datagram_.as<GrantReply>()) take_reply(*reply);
            else if (const auto adopted = datagram_.as<AdoptedGrant>()) grants_.adopt(*adopted, now_.steady);
            else if (datagram_.as<AdoptionEnd>()) grants_.end_adoption(now_.steady);
            else if (const auto foreign = datagram_.as<ForeignElements>()) control_.handle(*foreign, now_.steady);
            else if (const auto lines = datagram_.as<DroppedLines>()) control_.handle(*lines);
            else if (const auto trial = datagram_.as<TrialReply>()) control_.handle(*trial);
            else if (const auto settled = datagram_.as<Settled>()) control_.handle(*settled, now_.steady);
            else if (datagram_.as<LifeRequest>()) ask_for_life_sign();
            else {
                log::error("gatekeeper: the parent sent something unexpected");
                return ExitCode::software;
            }
        }
        return std::nullopt;
    }

    void ask_for_life_sign() {
        ReportRequest request;
        request.id = for_life_sign;
        listener_.send(request);
    }

    void take_reply(const GrantReply& reply) {
        auto knock = grants_.answer_to_knock(reply, now_.steady);
        if (reply.error != 0) recheck_by(now_.wall);  // a second later: it may be open, and not be allowed any more
        if (!knock) {
            if (const auto revocation = grants_.answer_to_close(reply, now_.steady)) control_.handle(*revocation);
            return;
        }
        const Decision& decision = knock->decision;
        if (knock->error != 0) {
            decisions_.refused(decision, Reason::firewall_failed, now_.steady);
            decisions_.problem(decision.client, problem_of(knock->error, decision), now_.steady);
            return;
        }
        decisions_.accepted(decision, now_.steady);
        knock->moments.answered = Instant{reply.done_ns};
        times_.add(knock->moments);
    }

    // --- reload -------------------------------------------------------------------------------------------------

    std::optional<ExitCode> handle_keys() {
        for (std::size_t i = 0; i < most_key_files_a_turn; ++i) {
            switch (keys_.receive(datagram_)) {
                case Channel::Received::nothing: return std::nullopt;
                case Channel::Received::closed: return ExitCode::ok;
                case Channel::Received::datagram: break;
            }
            has_read_files_ = true;
            if (const auto file = datagram_.as<PassedKeyFile>()) loading().file(*file, std::move(datagram_.descriptor));
            else if (const auto unopened = datagram_.as<UnopenedKeyFile>()) loading().unopened(*unopened);
            else if (const auto missing = datagram_.as<MissingKeyFile>()) loading().missing(*missing);
            else if (const auto end = datagram_.as<KeyFilesEnd>()) end_load(*end);
            else {
                log::error("gatekeeper: something unexpected came among the key files");
                return ExitCode::software;
            }
        }
        return std::nullopt;
    }

    KeyLoading& loading() {
        if (!loading_)
            loading_.emplace(KeyLoading::InForce{decider_.verifier().keyring()}, [this](Client client) {
                if (!audit_fails_) write_audit();
                return decider_.prepare(std::move(client));
            });
        return *loading_;
    }

    void end_load(const KeyFilesEnd& end) {
        auto loaded = loading().finish(end);
        loading_.reset();
        answer_load(loaded && loaded->fits);
        if (loaded) take_in(*loaded, end);
        else decider_.keep_keys();
        control_.reloaded(loaded.map([](const LoadedKeys&) {}), end.last_request, now_.steady);
    }

    void answer_load(bool taken) {
        KeysAnswer answer;
        answer.taken = taken;
        keys_.send(answer);
    }

    void take_in(LoadedKeys& loaded, const KeyFilesEnd& end) {
        problems_.take_in(loaded, decider_.verifier().keyring(), now_.steady);
        KeyChange& change = loaded.change;
        const bool is_new_door = change.door.has_value();
        std::erase_if(change.gone, [this](const std::string& name) { return !decider_.knows(name); });
        const std::string changed = std::to_string(change.clients.size()), gone = std::to_string(change.gone.size());
        const bool has_changed = is_new_door || !change.clients.empty() || !change.gone.empty();
        change_keys(change);
        check(loaded, is_new_door);
        take_out(control_.is_strict(end.last_request));
        problems_.log_news();
        if (has_changed || (end.asked && control_.may_log(now_.steady)))
            log::info("reloaded: " + counted(decider_.verifier().keyring().clients.size(), "client") + ", " + changed +
                      " new or changed, " + gone + " gone" + wrong_files());
    }

    void check(const LoadedKeys& loaded, bool is_new_door) {
        const KeyProblems::InForce in_force = decider_.in_force();
        if (is_new_door || problems_.is_other(in_force.sharing)) return problems_.check_all(in_force);
        for (const std::string& file : loaded.right) problems_.check(client_of(file), in_force);
    }

    std::string wrong_files() const {
        return problems_.all().empty() ? "" : ", " + counted(problems_.all().size(), "file") + " wrong";
    }

    void change_keys(KeyChange& change) {
        const bool has_new_door = change.door.has_value();
        decider_.change_keys(change);
        replaced_.merge(change.clients);
        if (decider_.door_has_changed() || has_new_door) schedule_.resend(door());
        prepare_books();
        close_what_is_no_longer_allowed();
        if (has_new_door) tell_services();  // behind what closes: the firewall closes nothing of a service that is gone
    }

    void close_what_is_no_longer_allowed() {
        if (const auto closed = grants_.close_what_is_no_longer_allowed(now_.steady); closed > 0)
            log::info("closed " + counted(closed, "grant") + " that " + (closed == 1 ? "is" : "are") +
                      " no longer allowed");
        note_expiry();
    }

    void note_expiry() {
        recheck_.reset();
        for (const auto& [client, count] : decider_.record().grants().holders(now_.steady))
            recheck_by(decider_.expiry_of(client));
    }
    void recheck_by(std::optional<UnixTime> time) {
        if (time) recheck_ = std::min(*time, recheck_.value_or(*time));
    }

    // Clients whose files have been wrong for too long.
    void take_out(bool at_once) {
        KeyChange change;
        change.gone = problems_.take_out(now_.steady, at_once);
        if (change.gone.empty()) return;
        change_keys(change);
        problems_.log_news();
    }

    // What the last reload replaced.
    void discard_some() {
        for (std::size_t i = 0; i < discarded_a_slice && !replaced_.empty(); ++i) replaced_.erase(replaced_.begin());
    }

    [[nodiscard]] const Door& door() { return decider_.verifier().keyring().door; }

    Channel listener_, parent_, keys_;
    Decider decider_;
    KeyProblems problems_;
    DecisionLog decisions_;
    KnockLatency times_;
    GrantRequests grants_;
    ControlCommands control_;
    BookSchedule schedule_;
    RecordMaintenance maintenance_;
    Gathering gathering_;
    std::optional<KeyLoading> loading_;  // of the reload under way
    decltype(KeyChange::clients) replaced_;

    Now now_;
    std::optional<Instant> audit_at_;  // when the lines that wait are to be written
    bool audit_fails_ = false;         // and did so the last time
    std::optional<UnixTime> recheck_;  // whether all grants are allowed: when the first of those who hold some expires
    Instant rest_;
    bool more_hints_ = false, has_read_files_ = false;
    bool gathers_ = false;  // candidates have come that wait for more

    Datagram datagram_;
    std::vector<Candidate> candidates_;
    std::vector<pollfd> polled_;
};

Result<ExitCode> start_and_run(GatekeeperParts parts, const Identity& identity) {
    Descriptor wall_timer(timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC));
    if (!wall_timer) return tl::unexpected(system_error("make", "a timer of the wall clock"));
    const BootId boot = read_boot_id();
    const auto folder = enter_sandbox(parts.state, parts.control_socket.get(), identity);
    if (!folder) return tl::unexpected(folder.error());
    const auto settings = receive_settings(parts.parent);
    if (!settings) return tl::unexpected(settings.error());
    KeyProblems problems;
    auto decider = make_decider(settings->limits, *folder, boot, parts.keys, problems);
    if (!decider) return tl::unexpected(decider.error());
    return Gatekeeper(std::move(parts), std::move(wall_timer), std::move(*decider), std::move(problems),
                      settings->rests ? rest_behind_a_slice : Instant{0})
        .run();
}

}  // namespace

ExitCode run_gatekeeper(GatekeeperParts parts, const Identity& identity) {
    harden_process("okd-gatekeeper", true);
    umask(077);
    raise_locked_memory_limit();
    const auto exit = start_and_run(std::move(parts), identity);
    if (exit) return *exit;
    if (!exit.error().message.empty()) log::error(exit.error().message);
    return exit.error().code;
}

}  // namespace oneknock
