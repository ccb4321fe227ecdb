#include "common/completion.hpp"

#include <algorithm>
#include <cctype>
#include <utility>

#include <CLI/CLI.hpp>

#include "common/text.hpp"

namespace oneknock {
namespace {

// "--wait[=TIME]" takes a value in its own word only.
bool takes_next_word(const CLI::Option& option) {
    return option.get_items_expected_max() != 0 && !option.get_type_name().starts_with("[=");
}

// Of the command, and of those around it if it lets them through.
std::vector<const CLI::Option*> options_of(const CLI::App& command) {
    std::vector<const CLI::Option*> options;
    for (const CLI::App* from = &command; from != nullptr;
         from = from->get_fallthrough() ? from->get_parent() : nullptr)
        for (const CLI::Option* option : from->get_options())
            if (option->nonpositional()) options.push_back(option);
    return options;
}

std::vector<const CLI::Option*> places_of(const CLI::App& command) {
    std::vector<const CLI::Option*> places;
    for (const CLI::Option* option : command.get_options())
        if (option->get_positional()) places.push_back(option);
    return places;
}

// "-o" or "--output"; both of an option that has both mean the same.
bool is_named(const CLI::Option& option, const std::string& word) {
    const bool is_long = word.starts_with("--");
    const auto& names = is_long ? option.get_lnames() : option.get_snames();
    return std::ranges::find(names, word.substr(is_long ? 2 : 1)) != names.end();
}

std::string shown_name(const CLI::Option& option) {
    return option.get_lnames().empty() ? "-" + option.get_snames().front() : "--" + option.get_lnames().front();
}

class Completer {
public:
    Completer(const CLI::App& app, const ValuesOf& values_of) : command_(&app), values_of_(values_of) {}

    void pass(const std::string& word) {
        if (waiting_ != nullptr) take_value(*std::exchange(waiting_, nullptr), word);
        else if (word == "--") is_over_ = true;
        else if (word.size() > 1 && word[0] == '-') pass_option(word);
        else if (const CLI::App* const sub = find_command(word)) command_ = sub;
        else before_.places.push_back(word);
    }

    [[nodiscard]] std::vector<Completion> of(const std::string& word) {
        if (is_over_) return {};
        beginning_ = word;
        if (waiting_ != nullptr) offer_values(waiting_->get_type_name(), waiting_->get_description());
        else if (word.starts_with("-")) offer_options();
        else if (!command_->get_subcommands({}).empty()) offer_commands();
        else offer_place();
        return std::move(found_);
    }

private:
    [[nodiscard]] const CLI::App* find_command(const std::string& word) const {
        const auto subs = command_->get_subcommands({});
        const auto found = std::ranges::find(subs, word, &CLI::App::get_name);
        return found == subs.end() ? nullptr : *found;
    }

    void take_value(const CLI::Option& option, const std::string& value) {
        before_.options[shown_name(option)] = value;
    }

    void pass_option(const std::string& word) {
        const auto equals = word.find('=');
        for (const CLI::Option* option : options_of(*command_)) {
            if (!is_named(*option, word.substr(0, equals))) continue;
            given_.push_back(option);
            if (equals != word.npos) take_value(*option, word.substr(equals + 1));
            else if (takes_next_word(*option)) waiting_ = option;
            return;
        }
    }

    void offer(const std::string& word, const std::string& text) {
        if (word.starts_with(beginning_)) found_.push_back({word, text});
    }

    // Those that were given are not offered again, unless they may be repeated.
    void offer_options() {
        for (const CLI::Option* option : options_of(*command_)) {
            const bool is_given = std::ranges::find(given_, option) != given_.end();
            if (is_given && option->get_items_expected_max() <= 1) continue;
            const std::string name = shown_name(*option);
            if (std::ranges::find(found_, name, &Completion::word) == found_.end())  // each command has a --help
                offer(name, option->get_description());
        }
    }

    void offer_commands() {
        for (const CLI::App* sub : command_->get_subcommands({})) offer(sub->get_name(), sub->get_description());
    }

    // The last place takes all words that are left, if it takes several.
    void offer_place() {
        const auto places = places_of(*command_);
        if (places.empty()) return;
        const std::size_t at = std::min(before_.places.size(), places.size() - 1);
        const CLI::Option& place = *places[at];
        if (at < before_.places.size() && place.get_items_expected_max() <= 1) return;
        offer_values(place.get_name(true, false), place.get_description());
    }

    // "udp|tcp|ADDR": what has a lower-case letter is meant as it stands, the rest is for the program to say.
    void offer_values(const std::string& type, const std::string& text) {
        const std::string types = type.substr(0, type.find(':'));  // what follows is of its checks
        for (std::size_t at = 0; at <= types.size();) {
            const std::size_t end = std::min(types.find('|', at), types.size());
            const std::string one = types.substr(at, end - at);
            if (std::ranges::any_of(one, [](unsigned char c) { return std::islower(c) != 0; })) offer(one, text);
            else
                for (const std::string& value : values_of_(one, before_)) offer(value, "");
            at = end + 1;
        }
    }

    const CLI::App* command_;
    const ValuesOf& values_of_;
    const CLI::Option* waiting_ = nullptr;  // for its value
    std::vector<const CLI::Option*> given_;
    TypedWords before_;
    bool is_over_ = false;  // what follows "--" is another program's
    std::string beginning_;
    std::vector<Completion> found_;
};

}  // namespace

std::vector<Completion> completions(const CLI::App& app, std::vector<std::string> words, const ValuesOf& values_of) {
    if (words.empty()) words.emplace_back();
    const std::string last = std::move(words.back());
    words.pop_back();
    Completer completer(app, values_of);
    for (const std::string& word : words)
        if (word != "=") completer.pass(word);  // bash makes three words of --option=value
    return completer.of(last == "=" ? "" : last);
}

std::string completion_text(const std::vector<Completion>& completions) {
    std::string text;
    for (const Completion& completion : completions)
        text += printable(completion.word) + (completion.text.empty() ? "" : "\t" + completion.text) + "\n";
    return text;
}

}  // namespace oneknock
