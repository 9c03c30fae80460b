; The grammar's own query leaves constructors out, and with them who calls what they call.
(method_definition name: (property_identifier) @name) @definition.method

(program
  (lexical_declaration
    kind: "const" (variable_declarator name: (identifier) @name) @definition.constant))
(program
  (export_statement
    (lexical_declaration
      kind: "const" (variable_declarator name: (identifier) @name) @definition.constant)))
(program
  (lexical_declaration
    kind: "let" (variable_declarator name: (identifier) @name) @definition.variable))
(type_alias_declaration name: (type_identifier) @name) @definition.type
(enum_declaration name: (identifier) @name) @definition.type
(extends_clause value: (identifier) @name) @reference.superclass
(implements_clause (type_identifier) @name) @reference.implementation
