#include "config/rule_text.h"

#include <ctype.h>
#include <string.h>

static struct rule_text trim(struct rule_text part)
{
    while (part.pos < part.end && isspace((unsigned char)*part.pos))
        part.pos++;
    while (part.end > part.pos && isspace((unsigned char)part.end[-1]))
        part.end--;
    return part;
}

/* Takes the text before the separator, or all of it. */
struct rule_text rule_take(struct rule_text *rest, char separator)
{
    size_t len = (size_t)(rest->end - rest->pos);
    const char *at = memchr(rest->pos, separator, len);
    struct rule_text part = {rest->pos, at != NULL ? at : rest->end};
    rest->pos = at != NULL ? at + 1 : rest->end;
    return trim(part);
}

bool rule_take_next(struct rule_text *rest, struct rule_text *rule)
{
    while (rest->pos < rest->end) {
        *rule = rule_take(rest, ';');
        if (rule->pos != rule->end)
            return true;
    }
    return false;
}

bool rule_take_word(struct rule_text *rest, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(rest->end - rest->pos) < len || memcmp(rest->pos, word, len) != 0)
        return false;
    rest->pos += len;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The next character of a name, with %XX decoded; -1: a broken one. */
static int next_char(struct rule_text *name)
{
    char c = *name->pos++;
    if (c != '%')
        return (unsigned char)c;
    if (name->end - name->pos < 2)
        return -1;
    int high = hex_digit(name->pos[0]);
    int low = hex_digit(name->pos[1]);
    name->pos += 2;
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

bool rule_is_name(struct rule_text name)
{
    if (name.pos == name.end)
        return false;
    while (name.pos < name.end)
        if (next_char(&name) <= 0)
            return false;
    return true;
}

bool rule_is_equal(struct rule_text name, const char *text)
{
    while (name.pos < name.end) {
        int c = next_char(&name);
        if (c != (unsigned char)*text || *text == '\0')
            return false;
        text++;
    }
    return *text == '\0';
}

bool rule_read_condition(struct rule_text condition, struct rule_text *application,
                         struct rule_text *user)
{
    struct rule_text *part = rule_take_word(&condition, "application=") ? application
                             : rule_take_word(&condition, "user=")      ? user
                                                                        : NULL;
    if (part == NULL || part->pos != NULL || !rule_is_name(condition))
        return false;
    *part = condition;
    return true;
}
