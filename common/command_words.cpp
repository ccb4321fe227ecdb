#include "common/command_words.hpp"

#include <algorithm>
#include <memory>
#include <sstream>

#include <CLI/CLI.hpp>

#include "common/nearest_word.hpp"
#include "common/text.hpp"

namespace oneknock {
namespace {

constexpr std::size_t help_columns = 80;  // of a terminal that nobody has widened

// Words into lines of at most `columns`; a longer word has one of its own.
std::vector<std::string> wrapped(const std::string& text, std::size_t columns) {
    std::vector<std::string> lines;
    std::istringstream words(text);
    for (std::string word; words >> word;) {
        if (!lines.empty() && lines.back().size() + 1 + word.size() <= columns) lines.back() += " " + word;
        else lines.push_back(word);
    }
    return lines;
}

// Options with what they take, and neither what they exclude nor how it is checked: the descriptions say it. No line is
// longer than a terminal is wide.
class HelpFormatter : public CLI::Formatter {
public:
    [[nodiscard]] std::string make_option(const CLI::Option* option, bool is_positional) const override {
        return entry(make_option_name(option, is_positional) + make_option_opts(option), make_option_desc(option));
    }

    [[nodiscard]] std::string make_subcommand(const CLI::App* command) const override {
        return entry(command->get_name(), command->get_description());
    }

    [[nodiscard]] std::string make_description(const CLI::App* command) const override {
        return join(wrapped(command->get_description(), help_columns), {}, "\n") + "\n";
    }

    [[nodiscard]] std::string make_option_opts(const CLI::Option* option) const override {
        const std::string type = option->get_type_name();
        const std::string value = type.substr(0, type.find(':'));  // what follows is of its checks
        const std::string otherwise = option->get_default_str();
        return (value.empty() ? "" : " " + value) + (otherwise.empty() ? "" : " (default: " + otherwise + ")");
    }

private:
    // A name that is too long for its column has a line of its own, as CLI11 has it.
    [[nodiscard]] std::string entry(const std::string& name, const std::string& text) const {
        const std::size_t column = get_column_width();
        std::string lines = "  " + name;
        const bool fits = lines.size() < column;
        lines += fits ? std::string(column - lines.size(), ' ') : "\n" + std::string(column, ' ');
        return lines + join(wrapped(text, help_columns - column), {}, "\n" + std::string(column, ' ')) + "\n";
    }
};

// "oneknock-keygen service add": what is to be written before --help.
std::string path_of(const CLI::App& command) {
    const CLI::App* const parent = command.get_parent();
    return (parent == nullptr ? "" : path_of(*parent) + " ") + command.get_name();
}

Error usage_error(const CLI::App& command, const std::string& what) {
    return {ExitCode::usage,
            printable(what) + (what.ends_with('?') ? " See: " : "; see: ") + path_of(command) + " --help"};
}

std::vector<std::string> command_names(const CLI::App& command) {
    std::vector<std::string> names;
    for (const CLI::App* sub : command.get_subcommands({})) names.push_back(sub->get_name());
    return names;
}

std::string list_of_commands(const CLI::App& command) { return "the commands are " + join(command_names(command)); }

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() != 0; }

// The option of this name (with its dashes), of the command or, if it lets them through, of those around it.
const CLI::Option* find_option(const CLI::App& command, const std::string& name) {
    for (const CLI::App* from = &command; from != nullptr;
         from = from->get_fallthrough() ? from->get_parent() : nullptr)
        for (const CLI::Option* option : from->get_options())
            if (!option->get_name(false, true).empty() && option->check_name(name)) return option;
    return nullptr;
}

// Those of its subcommands as well.
std::vector<std::string> long_options(const CLI::App& command) {
    std::vector<std::string> names;
    for (const CLI::App* from = &command; from != nullptr;
         from = from->get_fallthrough() ? from->get_parent() : nullptr)
        for (const CLI::Option* option : from->get_options())
            for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const CLI::App* sub : command.get_subcommands({}))
        std::ranges::copy(long_options(*sub), std::back_inserter(names));
    return names;
}

// CLI11 tells of what is missing before it tells of what is wrong, and of the latter only that it is: so the words are
// walked through as it would, up to the first that is not known.
class Walk {
public:
    Walk(const CLI::App& app, const std::vector<std::string>& words) : app_(app), words_(words) { enter(app); }

    [[nodiscard]] std::optional<Error> first_wrong_word() {
        for (; at_ < words_.size() && words_[at_] != "--" && !wrong_; ++at_) {
            const std::string& word = words_[at_];
            if (word.starts_with("--")) long_option(word);
            else if (word.size() > 1 && word[0] == '-') short_options(word);
            else plain_word(word);
        }
        return wrong_;
    }

private:
    void enter(const CLI::App& command) {
        command_ = &command;
        room_ = 0;
        for (const CLI::Option* option : command.get_options())
            if (option->get_positional())
                room_ += std::min(option->get_items_expected_max(), CLI::detail::expected_max_vector_size);
    }

    void refuse(const std::string& what) { wrong_ = usage_error(*command_, what); }

    void long_option(const std::string& word) {
        const auto equals = word.find('=');
        const std::string name = word.substr(0, equals);
        const CLI::Option* const option = find_option(*command_, name);
        if (option == nullptr) return refuse_option(name);
        if (takes_value(*option))
            return value_of(*option, name, equals != std::string::npos, equals + 1 == word.size());
        if (equals != std::string::npos) refuse(name + " takes no value");
    }

    // "-46" is two, "-oFILE" one with its value.
    void short_options(const std::string& word) {
        for (std::size_t i = 1; i < word.size() && !wrong_; ++i) {
            const std::string name{'-', word[i]};
            const CLI::Option* const option = find_option(*command_, name);
            if (option == nullptr) return refuse_option(i == 1 ? word : name);
            if (!takes_value(*option)) continue;
            return value_of(*option, name, i + 1 < word.size());
        }
    }

    // `is_attached`: to the option's own word.
    void value_of(const CLI::Option& option, const std::string& name, bool is_attached, bool is_empty = false) {
        if (std::ranges::find(given_, &option) != given_.end() && option.get_items_expected_max() == 1)
            return refuse(name + " is given twice");
        given_.push_back(&option);
        const bool is_next = at_ + 1 < words_.size() && find_option(*command_, words_[at_ + 1]) == nullptr;
        if (is_attached ? is_empty : !is_next)
            return refuse(name + " needs a value: " + name + " " + option.get_type_name());
        if (!is_attached) ++at_;
    }

    void refuse_option(const std::string& name) {
        if (command_ != &app_ && app_.get_option_no_throw(name) != nullptr)
            return refuse(name + " comes before the command: " + path_of(app_) + " " + name);
        std::string after;
        for (const CLI::App* sub : command_->get_subcommands({})) {
            if (find_option(*sub, name) == nullptr) continue;
            const bool is_meant = std::ranges::find(words_, sub->get_name()) != words_.end();
            if (is_meant || after.empty()) after = is_meant ? sub->get_name() : "COMMAND";
        }
        if (!after.empty())
            return refuse(name + " comes after the command: " + path_of(*command_) + " " + after + " " + name);
        const std::string meant = did_you_mean(name, long_options(*command_));
        const bool is_early = meant.empty() && !command_->get_subcommands({}).empty();
        refuse("there is no option " + name + (is_early ? " before the command" : meant));
    }

    void plain_word(const std::string& word) {
        const auto subs = command_->get_subcommands({});
        const auto sub = std::ranges::find(subs, word, &CLI::App::get_name);
        if (sub != subs.end()) return enter(**sub);
        if (room_-- > 0) return;
        if (subs.empty())
            return refuse("unexpected word \"" + word + "\"" + did_you_mean("--" + word, long_options(*command_)));
        std::vector<std::string> known = command_names(*command_);
        known.insert(known.end(), {"--help", "--version"});
        const std::string meant = did_you_mean(word, known);
        refuse("there is no command \"" + word + "\"" + (meant.empty() ? "; " + list_of_commands(*command_) : meant));
    }

    const CLI::App& app_;
    const CLI::App* command_ = nullptr;
    const std::vector<std::string>& words_;
    std::size_t at_ = 0;
    std::vector<const CLI::Option*> given_;  // of those that take a value
    int room_ = 0;                           // for words that are neither options nor commands
    std::optional<Error> wrong_;
};

// As git and others have it.
void arrange_help(const CLI::App& app, std::vector<std::string>& words) {
    if (words.empty() || words.front() != "help") return;
    words.erase(words.begin());
    if (app.get_subcommands({}).empty()) words.clear();
    words.emplace_back("--help");
}

const CLI::App& chosen_command(const CLI::App& app) {
    const CLI::App* command = &app;
    for (auto chosen = app.get_subcommands(); !chosen.empty(); chosen = command->get_subcommands())
        command = chosen.front();
    return *command;
}

}  // namespace

void set_help_form(CLI::App& app, const std::string& version, const std::string& examples) {
    app.require_subcommand(0, 1);  // none is refused below, in better words than CLI11's
    app.formatter(std::make_shared<HelpFormatter>());
    app.set_help_flag("-h,--help", "Show this help and exit");
    app.set_version_flag("-V,--version", version, "Show the version and exit");
    app.footer("Examples:\n" + examples);
}

Result<std::optional<std::string>> parse_words(CLI::App& app, std::vector<std::string> words,
                                               const ValuesOf& values_of) {
    if (!words.empty() && words.front() == completion_word)
        return completion_text(completions(app, {words.begin() + 1, words.end()}, values_of));
    arrange_help(app, words);
    if (auto wrong = Walk(app, words).first_wrong_word()) return tl::unexpected(std::move(*wrong));
    std::ranges::reverse(words);  // CLI11 takes them from the back
    try {
        app.parse(std::move(words));
        const CLI::App& command = chosen_command(app);
        if (!command.get_subcommands({}).empty())
            return tl::unexpected(usage_error(command, "a command is missing; " + list_of_commands(command)));
    } catch (const CLI::Success& asked) {
        std::ostringstream text;
        app.exit(asked, text, text);
        return text.str();
    } catch (const CLI::ParseError& error) {
        return tl::unexpected(usage_error(chosen_command(app), error.what()));
    }
    return std::nullopt;
}

}  // namespace oneknock
