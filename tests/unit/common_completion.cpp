#include "common/completion.hpp"

#include <CLI/CLI.hpp>

#include "common/command_words.hpp"
#include "tests/catch.hpp"

using namespace oneknock;
using Words = std::vector<std::string>;

namespace {

Words values_of(const std::string& place, const TypedWords& before) {
    if (place == "DOOR") return {"home", "office"};
    if (place == "SERVICE" && !before.places.empty()) return {"ssh-of-" + before.places[0], "web"};
    if (place == "FILE" && before.options.contains("--via")) return {before.options.at("--via")};
    return {};
}

// What is offered for the last of the words.
Words offered(Words words) {
    CLI::App app("A program", "program");
    set_help_form(app, "program 1.2", "  program open");
    std::string socket, door, service, via, file, wait;
    std::vector<std::string> many;
    bool json = false;
    app.add_option("--socket", socket, "Where")->type_name("PATH");
    app.fallthrough();
    auto* const open = app.add_subcommand("open", "Open it");
    open->add_option("DOOR", door, "Which")->type_name("");
    open->add_option("SERVICE", service, "What")->type_name("");
    open->add_option("--via", via, "How")->type_name("udp|tcp|ADDR");
    open->add_option("-o,--output", file, "To")->type_name("FILE");
    open->add_option("--wait", wait, "Until")->type_name("[=TIME]");
    open->add_flag("--json", json, "As JSON");
    auto* const more = app.add_subcommand("more", "More");
    more->add_subcommand("list", "List");
    more->add_subcommand("add", "Add")->add_option("SERVICE", many, "Several")->type_name("")->expected(1, -1);
    Words found;
    for (const Completion& candidate : completions(app, std::move(words), values_of)) found.push_back(candidate.word);
    return found;
}

}  // namespace

TEST_CASE("commands are offered by their beginnings, also those of commands") {
    CHECK(offered({}) == Words{"open", "more"});
    CHECK(offered({"o"}) == Words{"open"});
    CHECK(offered({"x"}).empty());
    CHECK(offered({"more", ""}) == Words{"list", "add"});
    CHECK(offered({"--socket", "open", "m"}) == Words{"more"});
}

TEST_CASE("places are filled with what the program knows, with regard to what stands before") {
    CHECK(offered({"open", ""}) == Words{"home", "office"});
    CHECK(offered({"open", "--json", "of"}) == Words{"office"});
    CHECK(offered({"open", "office", "s"}) == Words{"ssh-of-office"});
    CHECK(offered({"open", "-o", "file", "office", ""}) == Words{"ssh-of-office", "web"});
    CHECK(offered({"open", "office", "web", ""}).empty());
    CHECK(offered({"more", "add", "a", "b", "w"}) == Words{"web"});
}

TEST_CASE("options are offered where one begins, those around the command as well, and none twice") {
    CHECK(offered({"open", "--"}) == Words{"--help", "--via", "--output", "--wait", "--json", "--version", "--socket"});
    CHECK(offered({"open", "--j"}) == Words{"--json"});
    CHECK(offered({"open", "--json", "--j"}).empty());
    CHECK(offered({"open", "-o", "x", "--o"}).empty());
}

TEST_CASE("values of options are offered where they are words, however they are attached") {
    CHECK(offered({"open", "--via", ""}) == Words{"udp", "tcp"});
    CHECK(offered({"open", "--via", "=", "t"}) == Words{"tcp"});
    CHECK(offered({"open", "--via", "="}) == Words{"udp", "tcp"});
    CHECK(offered({"open", "--via", "udp", ""}) == Words{"home", "office"});
    CHECK(offered({"open", "--via=udp", ""}) == Words{"home", "office"});
    CHECK(offered({"open", "--output", ""}).empty());
    CHECK(offered({"open", "--wait", ""}) == Words{"home", "office"});
}

TEST_CASE("what is offered may hang on options that were given, in every form") {
    for (const Words& via : {Words{"--via", "tcp"}, Words{"--via=tcp"}, Words{"--via", "=", "tcp"}}) {
        Words words{"open"};
        words.insert(words.end(), via.begin(), via.end());
        words.insert(words.end(), {"-o", ""});
        CHECK(offered(words) == Words{"tcp"});
    }
}

TEST_CASE("nothing is offered for another program's words") { CHECK(offered({"open", "home", "--", ""}).empty()); }

TEST_CASE("each candidate is a line with what it is; what is in a file's name forges none") {
    CHECK(completion_text({{"open", "Open it"}, {"home", ""}, {"a\nb", ""}}) == "open\tOpen it\nhome\na\\x0ab\n");
}
