#include "keys/keygen/qr/qr_code.hpp"

#include <png.h>

#include "tests/catch.hpp"

using namespace oneknock;
using namespace oneknock::keygen;

namespace {

QrCode some_code() { return QrCode::of("oneknock-key:AbCdEf-_0123456789").value(); }

bool is_light(const QrCode& code, std::size_t row, std::size_t column) {
    const std::size_t end = qr_margin + code.size();
    if (row < qr_margin || column < qr_margin || row >= end || column >= end) return true;
    return !code.is_dark(row - qr_margin, column - qr_margin);
}

// Rows of modules that are drawn, of the lines on a terminal.
std::vector<std::vector<bool>> drawn_rows(const std::string& text) {
    std::vector<std::vector<bool>> rows;
    for (std::size_t at = 0; at < text.size();) {
        std::vector<bool> upper, lower;
        for (; text[at] != '\n'; at += text[at] == ' ' ? 1 : 3) {
            const std::string glyph = text.substr(at, text[at] == ' ' ? 1 : 3);
            REQUIRE((glyph == " " || glyph == "▀" || glyph == "▄" || glyph == "█"));
            upper.push_back(glyph == "▀" || glyph == "█");
            lower.push_back(glyph == "▄" || glyph == "█");
        }
        ++at;
        rows.push_back(upper);
        rows.push_back(lower);
    }
    return rows;
}

}  // namespace

TEST_CASE("a terminal gets every module and the margin, light ones drawn") {
    const QrCode code = some_code();
    const std::size_t size = code.size() + 2 * qr_margin;
    const auto rows = drawn_rows(terminal_text(code, false));
    REQUIRE(rows.size() == size + 1);  // the last line's lower half is below the margin
    for (std::size_t row = 0; row <= size; ++row) {
        REQUIRE(rows[row].size() == size);
        for (std::size_t column = 0; column < size; ++column) REQUIRE(rows[row][column] == is_light(code, row, column));
    }
}

TEST_CASE("colours make the light modules white and the dark ones black on any terminal, line by line") {
    const std::string plain = terminal_text(some_code(), false);
    std::string coloured = terminal_text(some_code(), true);
    for (const std::string sequence : {"\033[97;40m", "\033[0m"})
        for (std::size_t at = 0; (at = coloured.find(sequence)) != coloured.npos;) coloured.erase(at, sequence.size());
    CHECK(coloured == plain);
    CHECK(terminal_text(some_code(), true).starts_with("\033[97;40m"));
    CHECK(terminal_text(some_code(), true).ends_with("\033[0m\n"));
}

TEST_CASE("a picture has every module and the margin, eight pixels wide and high") {
    const QrCode code = some_code();
    const auto picture = png_picture(code).value();
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    REQUIRE(png_image_begin_read_from_memory(&image, picture.data(), picture.size()) != 0);
    image.format = PNG_FORMAT_GRAY;
    const std::size_t width = (code.size() + 2 * qr_margin) * 8;
    REQUIRE((image.width == width && image.height == width));
    std::vector<std::uint8_t> pixels(PNG_IMAGE_SIZE(image));
    REQUIRE(png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr) != 0);
    for (std::size_t at = 0; at < pixels.size(); ++at)
        REQUIRE(pixels[at] == (is_light(code, at / width / 8, at % width / 8) ? 255 : 0));
}

TEST_CASE("the longest key, in a code of its own, fits on a terminal of 80 columns") {
    CHECK(QrCode::of("oneknock-key:" + std::string(400, 'a')).value().size() + 2 * qr_margin <= 80);
}

TEST_CASE("a text that no code holds is refused") {
    const auto code = QrCode::of(std::string(3000, 'a'));
    REQUIRE_FALSE(code);
    CHECK(code.error().code == ExitCode::data);
}
