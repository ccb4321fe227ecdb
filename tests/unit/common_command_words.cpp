#include "common/command_words.hpp"

#include <CLI/CLI.hpp>

#include "tests/catch.hpp"

using namespace oneknock;

namespace {

struct Values {
    std::string path = "none", client, file;
    std::vector<std::string> many;
    bool json = false, four = false;
};

// What is said of the words; "" if they are taken, and the text if help or the version is asked for.
std::string said_of(std::vector<std::string> words, Values& values) {
    CLI::App app("A program", "program");
    set_help_form(app, "program 1.2", "  program status");
    app.add_option("--socket", values.path, "Where")->type_name("PATH");
    app.fallthrough();
    auto* const status = app.add_subcommand("status", "Show");
    status->add_flag("-j,--json", values.json, "As JSON");
    status->add_flag("-4", values.four, "Four");
    status->add_option("-o,--output", values.file, "To")->type_name("FILE");
    auto* const revoke = app.add_subcommand("revoke", "Close");
    revoke->add_option("CLIENT", values.client, "Whose")->required();
    revoke->add_option("--many", values.many, "Any number")->type_name("N")->allow_extra_args(false);
    auto* const service = app.add_subcommand("service", "More");
    service->add_subcommand("list", "List");
    const auto text = parse_words(app, std::move(words));
    if (text) return text->value_or("");
    CHECK(text.error().code == ExitCode::usage);
    return text.error().message;
}

std::string said_of(std::vector<std::string> words) {
    Values values;
    return said_of(std::move(words), values);
}

}  // namespace

TEST_CASE("right words are taken, in every form") {
    Values values;
    CHECK(said_of({"--socket", "/a", "status", "-4j", "-o-"}, values).empty());
    CHECK((values.path == "/a" && values.json && values.four && values.file == "-"));
    CHECK(said_of({"revoke", "status", "--socket=--b"}, values).empty());
    CHECK((values.client == "status" && values.path == "--b"));
    CHECK(said_of({"revoke", "--many", "1", "desk", "--many", "2"}, values).empty());
    CHECK((values.client == "desk" && values.many == std::vector<std::string>{"1", "2"}));
    CHECK(said_of({"revoke", "--", "--json"}, values).empty());
    CHECK(values.client == "--json");
    CHECK(said_of({"status", "-o", "-4"}, values).starts_with("-o needs a value"));
    CHECK(said_of({"service", "list"}, values).empty());
}

TEST_CASE("a wrong word is named, with what was probably meant and where the right ones are") {
    const std::pair<std::vector<std::string>, const char*> cases[] = {
        {{"stauts"}, "there is no command \"stauts\"; did you mean status? See: program --help"},
        {{"Status"}, "there is no command \"Status\"; did you mean status? See: program --help"},
        {{"version"}, "there is no command \"version\"; did you mean --version? See: program --help"},
        {{"xyz"}, "there is no command \"xyz\"; the commands are status, revoke, service; see: program --help"},
        {{""}, "there is no command \"\"; the commands are status, revoke, service; see: program --help"},
        {{}, "a command is missing; the commands are status, revoke, service; see: program --help"},
        {{"service"}, "a command is missing; the commands are list; see: program service --help"},
        {{"service", "lsit"}, "there is no command \"lsit\"; did you mean list? See: program service --help"},
        {{"--verison"}, "there is no option --verison; did you mean --version? See: program --help"},
        {{"status", "--jsno"}, "there is no option --jsno; did you mean --json? See: program status --help"},
        {{"status", "--sokcet", "x"}, "there is no option --sokcet; did you mean --socket? See: program status --help"},
        {{"--jsno", "status"}, "there is no option --jsno; did you mean --json? See: program --help"},
        {{"--json", "status"}, "--json comes after the command: program status --json; see: program --help"},
        {{"--json"}, "--json comes after the command: program COMMAND --json; see: program --help"},
        {{"status", "--zzz"}, "there is no option --zzz; see: program status --help"},
        {{"status", "-x"}, "there is no option -x; see: program status --help"},
        {{"status", "-4x"}, "there is no option -x; see: program status --help"},
        {{"status", "json"}, "unexpected word \"json\"; did you mean --json? See: program status --help"},
        {{"revoke", "a", "b"}, "unexpected word \"b\"; see: program revoke --help"},
        {{"revoke"}, "CLIENT is required; see: program revoke --help"},
        {{"status", "--socket"}, "--socket needs a value: --socket PATH; see: program status --help"},
        {{"status", "--socket", "--json"}, "--socket needs a value: --socket PATH; see: program status --help"},
        {{"status", "--socket="}, "--socket needs a value: --socket PATH; see: program status --help"},
        {{"status", "--json=yes"}, "--json takes no value; see: program status --help"},
        {{"--socket", "a", "status", "--socket=b"}, "--socket is given twice; see: program status --help"},
        {{"status", "--x\x1b[2J\nerror: y"}, "there is no option --x\\x1b[2J\\x0aerror: y; see: program status --help"},
        {{"revoke", "a", "b\n"}, "unexpected word \"b\\x0a\"; see: program revoke --help"},
        {{"help", "stauts"}, "there is no command \"stauts\"; did you mean status? See: program --help"},
    };
    for (const auto& [words, wanted] : cases) {
        CAPTURE(words);
        CHECK(said_of(words) == wanted);
    }
}

TEST_CASE("help and version are understood in every form that is usual") {
    for (const char* word : {"help", "-h", "--help"}) CHECK(said_of({word}).starts_with("A program\nUsage: program"));
    for (const char* word : {"-V", "--version"}) CHECK(said_of({word}) == "program 1.2\n");
    CHECK(said_of({"help", "status"}) == said_of({"status", "--help"}));
    CHECK(said_of({"help", "service", "list"}) == said_of({"service", "list", "-h"}));
}
