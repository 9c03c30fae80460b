/*
 * A tokenizer for expressions, in the style of an embedded code base.
 */
#include "token.h"

#include <assert.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#ifndef TOKEN_TRACE
#define TOKEN_TRACE 0
#endif

typedef enum {
	TOK_END,
	TOK_NUMBER = 1 << 4,
	TOK_NAME,
} token_kind;

typedef bool (*accept_fn)(int c);

struct token {
	token_kind kind;
	const char *start;
	size_t len;
	union {
		int64_t number;
		uint32_t hash;
	} value;
};

static const struct {
	token_kind kind;
	accept_fn accept;
} classes[] = {
	{ TOK_NUMBER, is_digit },
	{ TOK_NAME, is_name },
};

static struct token last, *current = &last;
extern volatile uint32_t token_errors;

static bool is_digit(int c)
{
	return isdigit((unsigned char)c) != 0;
}

static bool is_name(int c)
{
	return isalpha((unsigned char)c) || c == '_';
}

/* FNV-1a, 32 bit. */
static uint32_t hash_of(const char *text, size_t len)
{
	uint32_t hash = UINT32_C(2166136261);
	while (len--)
		hash = (hash ^ (uint8_t)*text++) * 16777619u;
	return hash;
}

static const char *
take_while(const char *at, accept_fn accept)
{
	for (; *at && accept(*at); ++at)
		;
	return at;
}

int token_next(const char **input, struct token *out)
{
	const char *at = *input + strspn(*input, " \t");
	size_t i;

	memset(out, 0, sizeof(*out));
	if (*at == '\0')
		return TOK_END;
	for (i = 0; i < ARRAY_SIZE(classes); i++) {
		if (!classes[i].accept(*at))
			continue;
		out->kind = classes[i].kind;
		out->start = at;
		*input = take_while(at, classes[i].accept);
		out->len = (size_t)(*input - at);
		if (out->kind == TOK_NAME)
			out->value.hash = hash_of(at, out->len);
#if TOKEN_TRACE
		trace_token(out);
#endif
		return out->kind;
	}
	token_errors++;
	assert(!"no class accepts this");
	return -1;
}
