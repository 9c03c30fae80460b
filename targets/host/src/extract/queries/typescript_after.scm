(program (lexical_declaration (variable_declarator name: (identifier) @name) @definition.constant))
(program
  (export_statement
    (lexical_declaration (variable_declarator name: (identifier) @name) @definition.constant)))
(type_alias_declaration name: (type_identifier) @name) @definition.type
(enum_declaration name: (identifier) @name) @definition.type
(extends_clause value: (identifier) @name) @reference.superclass
(implements_clause (type_identifier) @name) @reference.implementation
