#include "server/gatekeeper/keys/key_problems.hpp"

#include "common/log.hpp"
#include "common/poll.hpp"

namespace oneknock {
namespace {

using Of = KeyProblems::Problem::Of;

constexpr std::size_t most_lines = 20;  // of one load; `oneknockctl status` has more of them

}  // namespace

void KeyProblems::take_in(const LoadedKeys& loaded, const Keyring& in_force, Instant now) {
    all_were_read_ = loaded.fits;
    // Of those that are in force all the same, check() decides.
    for (const std::string& file : loaded.right)
        if (const auto known = problems_.find(file); known != problems_.end() && known->second.of == Of::file)
            problems_.erase(known);
    for (const auto& [file, wrong] : loaded.wrong) note(file, wrong, loaded, in_force, now);
}

void KeyProblems::note(const std::string& file, const WrongKeyFile& wrong, const LoadedKeys& loaded,
                       const Keyring& in_force, Instant now) {
    Problem problem{wrong.client, wrong.text, "", std::nullopt, Of::file};
    const bool is_in_force =
        find_client(in_force, wrong.client) != nullptr && !loaded.change.gone.contains(wrong.client);
    if (is_in_force) {
        const auto known = problems_.find(file);  // that it is wrong in another way now gives no more time
        problem.out_at = known != problems_.end() && known->second.out_at ? known->second.out_at : now + kept_for;
        problem.consequence = wrong.client + " keeps the keys it had for at most 10 minutes";
    } else if (!wrong.client.empty()) {
        problem.consequence = wrong.client + " is kept out";
    } else if (file == door_file || file == clients_folder) {
        problem.consequence = "the rest of what is in force stays in force";
    } else {
        problem.consequence = "no client is read from it";
    }
    set(file, std::move(problem));
}

void KeyProblems::set(const std::string& file, Problem problem) {
    Problem& known = problems_[file];
    if (known.text != problem.text || known.consequence != problem.consequence) news_.insert(file);
    known = std::move(problem);
}

void KeyProblems::check_all(const InForce& in_force) {
    std::erase_if(problems_, [&](const auto& known) {
        return known.second.of != Of::file && find_client(in_force.keyring, known.second.client) == nullptr;
    });
    for (const Client& client : in_force.keyring.clients) check(client, in_force);
    sharing_ = in_force.sharing;
}

void KeyProblems::check(const std::string& client, const InForce& in_force) {
    if (const Client* found = find_client(in_force.keyring, client)) return check(*found, in_force);
    const auto known = problems_.find(client + ".json");
    if (known != problems_.end() && known->second.of != Of::file) problems_.erase(known);
}

void KeyProblems::check(const Client& client, const InForce& in_force) {
    const std::string file = client.name + ".json";
    const auto known = problems_.find(file);
    if (known != problems_.end() && known->second.of == Of::file) return;  // its file is wrong anyway
    auto oddity = oddity_of(client, in_force);
    if (oddity) set(file, std::move(*oddity));
    else if (known != problems_.end()) problems_.erase(known);
}

// The first of them is told; mended, it makes way for the next.
std::optional<KeyProblems::Problem> KeyProblems::oddity_of(const Client& client, const InForce& in_force) {
    const std::string file = client.name + ".json";
    if (const auto checked = check_services(client, in_force.keyring.door, file); !checked)
        return Problem{client.name, checked.error().message, client.name + " may open the rest", {}, Of::services};
    if (const auto shared = in_force.sharing.find(client.name); shared != in_force.sharing.end())
        return Problem{client.name,
                       file + ": " + sharing_text(client.name, shared->second),
                       "that key opens only what each of these files lets it open",
                       {},
                       Of::sharing};
    if (!in_force.outdated.contains(client.name)) return std::nullopt;
    const auto& newest = client.generations.back();
    return Problem{client.name,
                   file + ": is older than the key that " + client.name + " has used: its newest generation is " +
                       std::to_string(newest.number) +
                       ". Restore the newer file, or give it a new key: " + "oneknock-keygen rotate " + client.name,
                   "that key was rotated away, and ends at " + time_text(newest.not_after.value_or(UnixTime{})),
                   {},
                   Of::outdated};
}

std::optional<Instant> KeyProblems::next_due() const {
    std::optional<Instant> due;
    for (const auto& [file, problem] : problems_) due = earliest(due, problem.out_at);
    return due;
}

std::set<std::string> KeyProblems::take_out(Instant now, bool at_once) {
    std::set<std::string> out;
    for (auto& [file, problem] : problems_) {
        if (!problem.out_at || (!at_once && *problem.out_at > now)) continue;
        problem.out_at.reset();
        problem.consequence = problem.client + " is kept out";
        news_.insert(file);
        out.insert(problem.client);
    }
    return out;
}

void KeyProblems::log_news() {
    std::size_t lines = 0;
    for (const std::string& file : news_) {
        const auto found = problems_.find(file);
        if (found == problems_.end() || ++lines > most_lines) continue;
        log::error(found->second.text + "; " + found->second.consequence);
    }
    if (lines > most_lines)
        log::error("and " + std::to_string(lines - most_lines) + " more key files are wrong; see oneknockctl status");
    news_.clear();
}

}  // namespace oneknock
