#include "yaml.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <regex>
#include <vector>

#include "files.hpp"

namespace amp::plugin {
namespace {

constexpr int kMostBytes = 256 * 1024;
constexpr int kMostLevels = 16;

using juce::juce_wchar;
using juce::String;
using juce::var;

struct Line {
  int number = 0;
  int indent = 0;
  String text;  ///< without indent, comment and trailing space
};

/// Where a comment begins, or -1: a # outside of quotes, at the start or behind a space.
int comment_at(const String& text) {
  juce_wchar quote = 0;
  for (int i = 0; i < text.length(); ++i) {
    const juce_wchar c = text[i];
    if (quote == '"' && c == '\\') {
      ++i;
    } else if (quote != 0) {
      if (c == quote) quote = 0;
    } else if ((c == '"' || c == '\'') && (i == 0 || String(" :,[{-").containsChar(text[i - 1]))) {
      quote = c;
    } else if (c == '#' && (i == 0 || text[i - 1] == ' ')) {
      return i;
    }
  }
  return -1;
}

class Parser {
 public:
  Parser(const String& text, std::string place) : place_(std::move(place)) {
    if (static_cast<int>(text.getNumBytesAsUTF8()) > kMostBytes)
      throw Refused(place_ + ": the file is larger than 256 kB.");
    int number = 0;
    for (const String& raw : juce::StringArray::fromLines(text)) {
      ++number;
      const int comment = comment_at(raw);
      const String line = (comment < 0 ? raw : raw.substring(0, comment)).trimEnd();
      if (line.trim().isEmpty() || (line == "---" && lines_.empty())) continue;
      const int indent = line.length() - line.trimStart().length();
      if (line.substring(0, indent).containsChar('\t')) fail(number, "tabs do not indent");
      if (line.startsWith("---") || line == "...") fail(number, "expected one document");
      lines_.push_back({number, indent, line.trimStart()});
    }
  }

  var document() {
    if (lines_.empty()) return {};
    var value = node(lines_[0].indent, 0);
    if (at_ < lines_.size()) fail(lines_[at_].number, "does not belong to what is above it");
    return value;
  }

 private:
  [[noreturn]] void fail(int number, const String& what) const {
    throw Refused(place_ + ":" + std::to_string(number) + ": " + what.toStdString() + ".");
  }

  /// What stands at this indent from here on.
  var node(int indent, int level) {
    if (level > kMostLevels) fail(lines_[at_].number, "nested deeper than 16 levels");
    const Line& line = lines_[at_];
    if (line.text == "-" || line.text.startsWith("- ")) return list(indent, level);
    if (colon_of(line.text) >= 0) return mapping(indent, level);
    return inline_value(lines_[at_].text, level);
  }

  var list(int indent, int level) {
    juce::Array<var> items;
    while (at_ < lines_.size() && lines_[at_].indent == indent &&
           (lines_[at_].text == "-" || lines_[at_].text.startsWith("- "))) {
      Line& line = lines_[at_];
      const String rest = line.text.substring(1).trimStart();
      if (rest.isEmpty()) {
        ++at_;
        items.add(nested(indent, level));
        continue;
      }
      const int inner = indent + line.text.length() - rest.length();
      line.indent = inner;
      line.text = rest;
      items.add(node(inner, level + 1));
    }
    return items;
  }

  var mapping(int indent, int level) {
    auto* object = new juce::DynamicObject();
    const var value(object);
    while (at_ < lines_.size() && lines_[at_].indent == indent) {
      const Line& line = lines_[at_];
      const int colon = colon_of(line.text);
      if (colon < 0) fail(line.number, "expected a key and a colon");
      const String key = key_of(line.text.substring(0, colon), line.number, *object);
      const String rest = line.text.substring(colon + 1).trim();
      if (rest.isNotEmpty()) {
        object->setProperty(key, inline_value(rest, level));
        continue;
      }
      ++at_;
      // A list may stand at its key's own indent.
      const bool same = at_ < lines_.size() && lines_[at_].indent == indent &&
                        (lines_[at_].text == "-" || lines_[at_].text.startsWith("- "));
      object->setProperty(key, same ? list(indent, level + 1) : nested(indent, level));
    }
    return value;
  }

  var nested(int indent, int level) {
    if (at_ >= lines_.size() || lines_[at_].indent <= indent) return {};
    return node(lines_[at_].indent, level + 1);
  }

  /// The text of this line, with those behind it that belong to open braces; then the next line.
  var inline_value(String text, int level) {
    number_ = lines_[at_++].number;
    if (text.startsWithChar('{') || text.startsWithChar('[')) {
      while (!balanced(text) && at_ < lines_.size()) text << ' ' << lines_[at_++].text;
      juce::String::CharPointerType p = text.getCharPointer();
      const var value = flow(p, level + 1);
      if (p.findEndOfWhitespace().isEmpty()) return value;
      fail(number_, "something stands behind the closing brace");
    }
    return scalar(text);
  }

  [[nodiscard]] static bool balanced(const String& text) {
    int open = 0;
    juce_wchar quote = 0;
    for (int i = 0; i < text.length(); ++i) {
      const juce_wchar c = text[i];
      if (quote == '"' && c == '\\')
        ++i;
      else if (quote != 0)
        quote = c == quote ? 0 : quote;
      else if (c == '"' || c == '\'')
        quote = c;
      else if (c == '{' || c == '[')
        ++open;
      else if (c == '}' || c == ']')
        --open;
    }
    return open <= 0;
  }

  var flow(String::CharPointerType& p, int level) {
    if (level > kMostLevels) fail(number_, "nested deeper than 16 levels");
    p = p.findEndOfWhitespace();
    if (*p == '{') return flow_mapping(p, level);
    if (*p == '[') return flow_list(p, level);
    return scalar(flow_text(p));
  }

  var flow_list(String::CharPointerType& p, int level) {
    juce::Array<var> items;
    ++p;
    while (true) {
      p = p.findEndOfWhitespace();
      if (*p == ']') return ++p, var(items);
      items.add(flow(p, level + 1));
      separator(p, ']');
    }
  }

  var flow_mapping(String::CharPointerType& p, int level) {
    auto* object = new juce::DynamicObject();
    const var value(object);
    ++p;
    while (true) {
      p = p.findEndOfWhitespace();
      if (*p == '}') return ++p, value;
      const String key = key_of(flow_text(p), number_, *object);
      p = p.findEndOfWhitespace();
      var entry;
      if (*p == ':') {
        ++p;
        p = p.findEndOfWhitespace();
        if (*p != ',' && *p != '}') entry = flow(p, level + 1);
      }
      object->setProperty(key, entry);
      separator(p, '}');
    }
  }

  void separator(String::CharPointerType& p, char end) const {
    p = p.findEndOfWhitespace();
    if (*p == ',')
      ++p;
    else if (static_cast<char>(*p) != end)
      fail(number_, "a brace is not closed");
  }

  /// A text within braces: to the closing quote, or to what ends a plain one.
  String flow_text(String::CharPointerType& p) const {
    const auto begin = p;
    if (*p == '"' || *p == '\'') {
      const juce_wchar quote = *p;
      for (++p; !p.isEmpty() && *p != quote; ++p)
        if (quote == '"' && *p == '\\') ++p;
      if (p.isEmpty()) fail(number_, "a quote is not closed");
      ++p;
    } else {
      while (!p.isEmpty() && !String(",]}[{").containsChar(*p) &&
             !(*p == ':' && String(" ,]}").containsChar(*(p + 1))) &&
             !(*p == ':' && (p + 1).isEmpty()))
        ++p;
    }
    return String(begin, p).trim();
  }

  /// The colon that ends a key of a block mapping, or -1.
  [[nodiscard]] static int colon_of(const String& text) {
    if (text.startsWithChar('{') || text.startsWithChar('[')) return -1;
    int from = 0;
    if (text.startsWithChar('"') || text.startsWithChar('\'')) {
      from = text.indexOfChar(1, text[0]);
      if (from < 0) return -1;
    }
    for (int i = from; i < text.length(); ++i)
      if (text[i] == ':' && (i + 1 == text.length() || text[i + 1] == ' ')) return i;
    return -1;
  }

  String key_of(const String& text, int number, const juce::DynamicObject& object) {
    number_ = number;
    const String plain = text.trim();
    const bool is_quoted = plain.startsWithChar('"') || plain.startsWithChar('\'');
    if (!is_quoted) refuse_marks(plain);
    const String key = is_quoted ? unquoted(plain) : plain;
    if (key == "<<") fail(number, "merge keys are not allowed; write it out");
    if (key.isEmpty()) fail(number, "a key is empty");
    if (object.hasProperty(key)) fail(number, "key " + key + " stands twice; remove one");
    return key;
  }

  [[nodiscard]] var scalar(const String& text) const {
    refuse_marks(text);
    if (text.startsWithChar('"') || text.startsWithChar('\'')) return unquoted(text);
    const String lower = text.toLowerCase();
    if (text.isEmpty() || lower == "null" || text == "~") return {};
    if (juce::StringArray{"true", "yes", "on"}.contains(lower)) return true;
    if (juce::StringArray{"false", "no", "off"}.contains(lower)) return false;
    if (const auto number = number_of(text)) return *number;
    return text;
  }

  void refuse_marks(const String& text) const {
    const juce_wchar first = text[0];
    if (first == '&' || first == '*')
      fail(number_, "anchors and aliases are not allowed; write it out");
    if (first == '!') fail(number_, "tags are not allowed; write a plain value");
    if (first == '|' || first == '>') fail(number_, "texts of several lines are not read here");
  }

  [[nodiscard]] static std::optional<double> number_of(const String& text) {
    static const std::regex form("[-+]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][-+]?[0-9]+)?");
    if (!std::regex_match(text.toStdString(), form)) return std::nullopt;
    const double value = text.getDoubleValue();
    return std::isfinite(value) ? std::optional(value) : std::nullopt;
  }

  [[nodiscard]] String unquoted(const String& text) const {
    const juce_wchar quote = text[0];
    if (text.length() < 2 || text.getLastCharacter() != quote)
      fail(number_, "a quote is not closed");
    const String inside = text.substring(1, text.length() - 1);
    if (quote == '\'') return inside.replace("''", "'");
    return juce::JSON::fromString("\"" + inside + "\"").toString();
  }

  std::string place_;
  std::vector<Line> lines_;
  size_t at_ = 0;
  int number_ = 0;  ///< the line that is being read
};

}  // namespace

var read_yaml(const String& text, const std::string& place) {
  return Parser(text, place).document();
}

String as_yaml(const String& text) {
  const bool plain = text.isNotEmpty() && text.containsOnly(
                                              "abcdefghijklmnopqrstuvwxyz"
                                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                              "._-/");
  const bool is_word = plain && juce::CharacterFunctions::isLetter(text[0]);
  const juce::StringArray taken{"true", "false", "yes", "no", "on", "off", "null", "y", "n"};
  if (is_word && !taken.contains(text, true)) return text;
  return juce::JSON::toString(var(text));
}

String decimal(float value) {
  std::array<char, 64> text{};
  const auto result =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  return String(text.data(), static_cast<size_t>(result.ptr - text.data()));
}

}  // namespace amp::plugin
