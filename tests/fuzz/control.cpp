// Lines at the control socket, from peers of every manner, while the other rooms answer, late or wrongly.
#include "server/gatekeeper/control/commands.hpp"

#include <set>

#include <sys/socket.h>
#include <sys/un.h>
#include <nlohmann/json.hpp>

#include "tests/fuzz/gatekeeper.hpp"

namespace oneknock::fuzz {
namespace {

constexpr std::size_t most_steps = 64, most_peers = 24;

const std::array lines{"status\n", "grants\n",  "revoke alice\n", "revoke --all\n",
                       "reload\n", "confirm\n", "revoke \n",      "revoke nobody\n"};

class Control {
public:
    Control() {
        Descriptor listening(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        sockaddr_un any{};
        any.sun_family = AF_UNIX;  // a name of the kernel's
        HOLDS(bind(listening.get(), reinterpret_cast<sockaddr*>(&any), sizeof any.sun_family) == 0);
        HOLDS(listen(listening.get(), most_peers) == 0);
        length_ = sizeof name_;
        HOLDS(getsockname(listening.get(), reinterpret_cast<sockaddr*>(&name_), &length_) == 0);
        parts_.emplace(std::move(listening));
    }

    void connect_peer() {
        if (peers_.size() == most_peers) return;
        Descriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&name_), length_) == 0)
            peers_.push_back({std::move(fd), {}});
    }
    void say(std::uint8_t peer, std::string_view text) {
        if (Descriptor* fd = peer_at(peer)) (void)send(fd->get(), text.data(), text.size(), MSG_NOSIGNAL);
    }
    void shut(std::uint8_t peer) {
        if (Descriptor* fd = peer_at(peer)) (void)shutdown(fd->get(), SHUT_WR);
    }
    void leave(std::uint8_t peer) {
        if (!peers_.empty()) peers_.erase(peers_.begin() + peer % static_cast<long>(peers_.size()));
    }
    void serve() {
        parts_->control.serve(parts_->now.steady);
        std::vector<pollfd> polled;
        parts_->control.socket().add_to(polled);
        HOLDS(polled.size() <= most_peers);
        for (auto& peer : peers_) hear(peer);
    }
    void pass(Instant time) {
        parts_->now.steady += time;
        parts_->now.wall += std::chrono::floor<Seconds>(time);
    }
    void knock(Input& input) {
        const Member& member = members[input.u8() % members.size()];
        parts_->judge(candidate_of(member, *Address::parse("192.0.2.7"), input.flag(), input.u8()));
    }
    // The other rooms.
    void answer(Input& input) {
        Datagram datagram;
        while (parts_->parent.receive(datagram) == Channel::Received::datagram) {
            const int error = input.u8() % 8 == 7 ? input.u8() : 0;
            if (const auto request = datagram.as<GrantRequest>()) reply_to(request->id + (input.u8() == 255), error);
            else if (const auto confirmed = datagram.as<TrialConfirmed>()) confirm(confirmed->id, input.flag());
            else if (const auto asked = datagram.as<ReloadRequest>()) reload(asked->id, error != 0);
            else if (const auto behind = datagram.as<SettleRequest>()) settle(behind->id, error != 0);
            else HOLDS(datagram.as<RecordedGrant>());
        }
        while (parts_->listener.receive(datagram) == Channel::Received::datagram) {
            const auto request = datagram.as<ReportRequest>();
            HOLDS(request);
            CaptureReport report;
            report.id = request->id;
            report.packets = input.u64();
            report.dropped = input.u8();
            HOLDS(parts_->control.handle(report, parts_->now.steady) || answered_already_.erase(report.id) == 1);
        }
    }
    void odd_answers(Input& input) {
        reply_to(input.u8(), input.u8());
        confirm(input.u8(), input.flag());
        CaptureReport report;
        report.id = input.u8();
        if (parts_->control.handle(report, parts_->now.steady)) answered_already_.insert(report.id);
        reload(input.u8(), input.flag());
        settle(input.u8(), input.flag());
    }

private:
    struct Peer {
        Descriptor fd;
        std::string heard;
    };
    Descriptor* peer_at(std::uint8_t number) { return peers_.empty() ? nullptr : &peers_[number % peers_.size()].fd; }
    void hear(Peer& peer) const {
        char buffer[4096];
        const auto got = recv(peer.fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
        if (got <= 0) return;
        peer.heard.append(buffer, static_cast<std::size_t>(got));
        if (!peer.heard.ends_with('\n')) return;
        const auto answer = nlohmann::json::parse(peer.heard);  // throws if it is none, or several
        HOLDS(answer.at("schema") == 1);
    }
    void reply_to(RequestId id, int error) {
        GrantReply reply;
        reply.id = id;
        reply.error = error;
        reply.done_ns = parts_->now.steady.count();
        parts_->take(reply);
    }
    void confirm(RequestId id, bool was_on_trial) {
        TrialReply reply;
        reply.id = id;
        reply.was_on_trial = was_on_trial;
        parts_->control.handle(reply);
    }
    void settle(RequestId id, bool lacks_services) {
        Settled settled;
        settled.id = id;
        settled.lacks_services = lacks_services;
        parts_->control.handle(settled, parts_->now.steady);
    }
    void reload(RequestId last, bool fails) {
        const Result<void> failed = fail(ExitCode::data, "clients.d/\x1b\xff\".json:1: wrong");
        parts_->control.reloaded(fails ? failed : Result<void>{}, last, parts_->now.steady);
    }

    sockaddr_un name_{};
    socklen_t length_ = 0;
    std::optional<GatekeeperParts> parts_;
    std::vector<Peer> peers_;
    std::multiset<RequestId> answered_already_;  // by an odd answer that met a question
};

void one_step(Control& control, Input& input) {
    const std::uint8_t step = input.u8();
    const std::uint8_t peer = step / 16;
    switch (step % 16) {
        case 0:
        case 1: return control.connect_peer();
        case 2: {
            const ByteSpan text = input.take(input.u8());
            return control.say(peer, {reinterpret_cast<const char*>(text.data()), text.size()});
        }
        case 3:
        case 4: return control.say(peer, lines[input.u8() % lines.size()]);
        case 5: return control.shut(peer);
        case 6: return control.leave(peer);
        case 7: return control.pass(std::chrono::milliseconds{input.u16()});
        case 8:
        case 9: return control.answer(input);
        case 10: return control.odd_answers(input);
        case 11: return control.knock(input);
        default: return control.serve();
    }
}

}  // namespace

void one_input(Input input) {
    Control control;
    for (std::size_t i = 0; !input.empty() && i < most_steps; ++i) one_step(control, input);
    control.serve();
}

std::vector<Bytes> seeds() {
    std::vector<Bytes> all;
    for (std::uint8_t line = 0; line < lines.size(); ++line)
        all.push_back({11, 0, 1, 1, 8, 0, 0, 0, 0, 0, 3, line, 15, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 15, 15});
    Bytes text{0, 2, 7};
    append(text, as_bytes("status\n"));
    append(text, Bytes{15, 8, 15});
    all.push_back(text);
    return all;
}

}  // namespace oneknock::fuzz
